"""How long a rollback and a revocation take on the tile stream, and whether what they restore is the same to the bit.

usage: python -m bench.undo [--patches 10000] [--times 5] [--short]

A line with the shared weights is taught from the 40 setup images and lives through the stream; the operator of its
first stage is the one who is revoked, so that everything learned since is learned anew. A rollback's scores of the
stream's images must equal those of the version that it restores; two revocations from the same state must make the
same blobs. Seconds are from the call until the service judges with the result. Markdown on stdout.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench.lib import arguments, ledger
from bench.lib.material import Material, material
from bench.lib.protocol import Shot
from bench.lib.taught_lines import untracked
from daemon import build, clock
from daemon.datasets import playback
from daemon.learning import answers, revocation
from daemon.learning.rollback import roll_back
from daemon.learning.teach import teach
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.logs import log_to
from memory.extract import Extractor
from memory.features import Features, View
from memory.version import Model, Version

FIRST, LATER = "bert", "anna"


def settings(on: Material, folder: Path, patches: int) -> Settings:
    """A line that learns often: every lesson is one more to learn anew."""
    return Settings.model_validate(
        {
            "line": "undo",
            "state_dir": folder,
            "extractor": on.extractor.model_dump(),
            "memory": {"bank_patches": patches},
            "policy": {"false_reject_rate": 0.05, "audit_share": 0.1, "lesson_after": 5},
            "redis": {"url": build.IN_PROCESS},
            "source": {"allowed_roots": [str(on.folder)]},
        }
    )


def service(line: Settings, backbone: Extractor) -> Service:
    """A service on a state folder; it must be started."""
    return build.service(line, open_state(line.state_dir), backbone, build.redis_streams(line))


def live(line: Service, rows: list[Shot]) -> None:
    """The whole stream, with an operator who answers when asked."""
    for number, shot in enumerate(row for row in rows if row.role == "stream"):
        name = f"{number}:{shot.image.name}"
        frame = playback.send_frame(line, name, {"part_id": shot.part, "path": str(shot.image)})
        if frame.asked:
            label = "defect" if shot.defective else "good"
            playback.send_answer(line, answers.answer(name, label, FIRST if shot.stage == 1 else LATER))
        line.lesson_if_due()
    line.recalibrate()


def scores(model: Model, images: list[Features]) -> list[float]:
    """What a version says of images."""
    return [model.snapshot.detector.score(View(features)).value for features in images]


def rolled_back(line: Service, number: int, images: list[Features]) -> tuple[float, bool]:
    """Seconds, and whether the service then scores as version `number` did."""
    engine = line.engine
    before = scores(line.store.load(line.store.version(number)), images)
    started = time.perf_counter()
    roll_back(line.store, engine.ledger, number, "engineer", clock.unix_ms())
    line.notice_versions()
    took = time.perf_counter() - started
    return took, engine.active is not None and scores(engine.active.model, images) == before


def revoked(line_settings: Settings, backbone: Extractor) -> tuple[float, Version, int]:
    """Seconds, the version made, and the answers taken back."""
    line = service(line_settings, backbone)
    line.start()
    ids = revocation.answers_of(line.engine.ledger, (), FIRST, None, None)
    started = time.perf_counter()
    version = revocation.revoke(line.engine, line.store, ids, "engineer", "measured")
    took = time.perf_counter() - started
    line.engine.ledger.close()
    return took, version, len(ids)


def main() -> None:
    """Live once, then undo."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--patches", type=int, default=10_000, help="patches in a bank")
    parser.add_argument("--times", type=int, default=5, help="how often each is measured")
    options = arguments.parse(parser, patches=500, times=2)
    on = material(short=options.short)
    log_to("console", level=40)
    rows = on.shots()
    with tempfile.TemporaryDirectory() as folder:
        lived = settings(on, Path(folder) / "lived", options.patches)
        backbone = build.extractor(lived)
        line = service(lived, backbone)
        paths = [row.image for row in rows if row.role == "setup"]
        teach(paths, line.engine, line.store, "engineer", untracked)
        line.start()
        live(line, rows)
        head = line.store.current().version
        frames = ledger.kept(line.engine.ledger)
        views = [line.engine.view(frame) for frame in frames]
        images = [view.features for view in views if view is not None]
        line.engine.ledger.close()
        undone = []
        for i in range(options.times):
            shutil.copytree(lived.state_dir, Path(folder) / f"undo-{i}")
            undone.append(revoked(settings(on, Path(folder) / f"undo-{i}", options.patches), backbone))
        line = service(lived, backbone)
        line.start()
        back = [rolled_back(line, 1 + i % head.number, images) for i in range(options.times)]
    versions = [version for _, version, _ in undone]
    first = versions[0]
    same = all(version.blobs == first.blobs and version.threshold == first.threshold for version in versions)
    print(f"{head.number} versions, {head.bank_size} patches, {undone[0][2]} answers of {FIRST}'s shift revoked;")
    print(f"rebuilt from version {first.restores}, {len(first.spans)} lessons learned anew.\n")
    print("| | median s | worst s | bit-identical |\n| --- | --- | --- | --- |")
    for name, seconds, equal in (
        ("rollback", [s for s, _ in back], all(equal for _, equal in back)),
        ("revocation", [s for s, _, _ in undone], same),
    ):
        print(f"| {name} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {'yes' if equal else 'NO'} |")


if __name__ == "__main__":
    main()
