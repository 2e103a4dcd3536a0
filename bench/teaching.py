"""How long a teach and a lesson take, and how much memory they need, beside another revision.

usage: python -m bench.teaching [--beside REVISION] [--rounds 3] [--taught 400] [--side 300] [--patches 10000] [--short]

JPEGs of rendered parts, squares of so many pixels a side, are taught to driftline-tiny by torch in a process of its own
(bench/lib/timed_teach.py); then ten parts of a new material are judged and confirmed as good, and a lesson learns from
them, and from ten more: the first lesson after a start searches for what the next ones know. A rebuild would be the
teach again, with ten parts more. With `--beside`, another revision is measured in the same run, in turns, from a
worktree of its own. Medians of rounds are told, and the host's share of the processors.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from bench.lib import arguments
from bench.lib.checkouts import checkouts, host_and_medians
from bench.lib.host import stolen
from bench.lib.jpegs import part_jpeg
from bench.lib.processes import ROOT, ended, start
from daemon.datasets.rendered import STEADY, Scene

TIMED = ROOT / "bench" / "lib" / "timed_teach.py"
LEARNED = 10
NEW_MATERIAL = Scene(wear=0.3, warmth=1.0)  # what is worn more is as smooth as by a blurred lens, and learning waits


def main() -> None:
    """Rounds in turns."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--beside")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--taught", type=int, default=400)
    parser.add_argument("--side", type=int, default=300)
    parser.add_argument("--patches", type=int, default=10_000)
    options = arguments.parse(parser, rounds=1, taught=12, patches=500)
    told: dict[str, dict[str, list[float]]] = {}
    host = stolen()
    with tempfile.TemporaryDirectory() as name, checkouts(options.beside, Path(name)) as revisions:
        root = Path(name)
        goods = drawn(root / "good", options.taught, options.side, STEADY)
        lesson = drawn(root / "lesson", 2 * LEARNED, options.side, NEW_MATERIAL)
        for _ in range(options.rounds):
            for revision, checkout in revisions.items():
                file, state, result = (root / f"{revision}{end}" for end in (".json", "-state", "-result.json"))
                file.write_text(json.dumps(settings(state, options.patches)))
                shutil.rmtree(state, ignore_errors=True)
                log = file.with_suffix(".log")
                ended(
                    start([sys.executable, TIMED, goods, lesson, file, result], log, checkout=checkout), revision, log
                )
                for what, value in json.loads(result.read_text()).items():
                    told.setdefault(revision, defaultdict(list))[what].append(value)
    took, of = (now - then for now, then in zip(stolen(), host, strict=True))
    host_and_medians(told, 100 * took / of, ".5g")


def drawn(folder: Path, count: int, side_px: int, scene: Scene) -> Path:
    """A folder of rendered parts as a camera's JPEGs, those of another scene with other numbers."""
    folder.mkdir()
    first = 0 if scene == STEADY else 10_000
    for number in range(count):
        (folder / f"{number:04d}.jpg").write_bytes(part_jpeg(first + number, side_px, scene))
    return folder


def settings(state: Path, patches: int) -> dict[str, object]:
    """The settings of a line that learns what it is told."""
    return {
        "line": "bench",
        "state_dir": str(state),
        "extractor": {"backend": "torch"},
        "memory": {"bank_patches": patches},
        "redis": {"url": "memory://"},
        "policy": {"lesson_after": LEARNED},
    }


if __name__ == "__main__":
    main()
