"""What a line's first ten frames are worth under another lamp than the one it was taught in.

usage: python -m bench.first_frames [SET ...] [--taught 60] [--set section.key=value] [--short]

The sets of bench/zoo.py. Every ten of the good parts that are judged are the first of a line that has just been taught:
as they are, under 20 % more and less light, and with 10 % more and less red. Beside: the same parts where nothing makes
up for the lamp, and where the lamp is known. Markdown on stdout.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from bench.lib import arguments
from bench.lib.cases import Case, cases
from bench.lib.taught_lines import taught_line
from daemon import build
from daemon.inference.engine import Engine
from daemon.inference.judgement import Active
from daemon.intake.decode import ImageRejected
from daemon.settings.load import load
from daemon.settings.logs import log_to
from drift.light import LightEstimate
from drift.monitor import MeasuredFrame, Monitor
from memory.extract import Extractor

FIRST = 10
Lamp = tuple[float, float, float]  # times red, green, blue
LAMPS: dict[str, Lamp] = {
    "as taught": (1.0, 1.0, 1.0),
    "light +20 %": (1.2, 1.2, 1.2),
    "light -20 %": (0.8, 0.8, 0.8),
    "red +10 %": (1.1, 1.0, 1.0),
    "red -10 %": (0.9, 1.0, 1.0),
}


def under(path: Path, lamp: Lamp) -> bytes:
    """An image file as it would be under this lamp."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None  # noqa: S101  # the sets hold images
    lit = np.clip(np.rint(image * np.array(lamp[::-1])), 0, 255).astype(np.uint8)
    return cv2.imencode(".png", lit)[1].tobytes()


def start(engine: Engine, active: Active, files: Sequence[bytes], lamp: Lamp | None) -> list[bool]:
    """Which of a line's first frames are not passed, with the light taken from them, or as a `lamp` is known to be."""
    reference, follow = active.monitor.reference, lamp is None
    fresh = replace(active, monitor=Monitor(reference))
    if lamp is not None:
        fresh.monitor.rewarm((), LightEstimate.within(reference.light + np.log(lamp), reference.light))
    rejected = []
    for at_ms, data in enumerate(files):
        try:
            found = engine.score_image(engine.decode(data), fresh, at_ms if follow else None)
        except ImageRejected:
            rejected.append(True)
            continue
        rejected.append(found.score.value > active.threshold.value)
        if follow:
            fresh.monitor.update(MeasuredFrame(found.signals, at_ms + 1, at_ms, flagged=rejected[-1]))
    return rejected


def rejects(case: Case, most: int, overrides: Sequence[str], backbone: Extractor, folder: Path) -> list[list[float]]:
    """The share of false rejects by lamp: followed, not made up for, and known."""
    goods = [shown.path for shown in case.shown if not shown.bad]
    lines = [goods[i : i + FIRST] for i in range(0, len(goods) - FIRST + 1, FIRST)] or [goods]
    shares = []
    with taught_line(case.taught[:most], overrides, backbone, folder / case.name) as line:
        for lamp in LAMPS.values():
            starts = [[under(path, lamp) for path in paths] for paths in lines]
            shares.append(
                [
                    float(np.mean([start(line.engine, line.active, files, known) for files in starts]))
                    for known in (None, LAMPS["as taught"], lamp)
                ]
            )
    return shares


def main() -> None:
    """One table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("sets", nargs="*", help="names of sets; all by default")
    parser.add_argument("--taught", type=int, default=60, help="parts to teach at most")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, as of driftline's commands")
    options = arguments.parse(parser, taught=4, set=["extractor.input_px=128"])
    log_to("console", level=logging.ERROR)
    backbone = build.extractor(load(None, [*options.set, "extractor.device=cpu"]))
    print("False rejects in the first ten frames, %; in brackets without making up for the lamp, and knowing it.\n")
    print(f"| set | {' | '.join(LAMPS)} |\n|{' --- |' * (len(LAMPS) + 1)}")
    with tempfile.TemporaryDirectory(prefix="driftline-first-frames-") as folder:
        table = []
        for case in cases(Path(folder), options.sets, short=options.short):
            table.append(rejects(case, options.taught, options.set, backbone, Path(folder)))
            _show(case.name, table[-1])
        _show("mean", np.mean(table, axis=0).tolist())


def _show(name: str, shares: Sequence[Sequence[float]]) -> None:
    cells = " | ".join(f"{100 * own:.0f} ({100 * none:.0f}, {100 * known:.0f})" for own, none, known in shares)
    print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
