"""Parts whose pieces are all good, and whose number or place is not: rendered boards and trays.

usage: python -m bench.composition [--taught 60] [--good 60] [--bad 30] [--short]

Each detector is taught good ones and judges others, each fault apart, as `driftline bench` does. Markdown on stdout.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2

from bench.lib import arguments
from bench.lib.by_fault import ByFault
from bench.lib.material import TINY, backbone
from bench.lib.rendered_boards import TRAY_SCREWS, Fault, board, tray
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.settings.logs import log_to
from memory.extract import Extractor
from memory.features import Image

DETECTORS = ("patch-bank", "padim", "composition")
Render = Callable[[int], Image]
BOARDS: dict[str, Render] = {GOOD: board, **{fault.value: partial(board, fault=fault) for fault in Fault}}
TRAYS: dict[str, Render] = {GOOD: tray}
TRAYS |= {f"{screws} screws": partial(tray, screws=screws) for screws in (TRAY_SCREWS - 1, TRAY_SCREWS + 1)}

SETS = {"boards": BOARDS, "trays": TRAYS}


def rendered(kinds: dict[str, Render], folder: Path, taught: int, good: int, bad: int) -> DataSet:
    """A data set of rendered parts, no two of the same number."""
    images, number = [], 0
    folder.mkdir()
    wanted = [(Split.TRAIN, GOOD, taught), *((Split.TEST, kind, good if kind == GOOD else bad) for kind in kinds)]
    for split, kind, count in wanted:
        for _ in range(count):
            path = folder / f"{number:04d}.png"
            cv2.imwrite(str(path), kinds[kind](number)[:, :, ::-1])
            images.append(LabelledImage(path, split, kind))
            number += 1
    return DataSet(tuple(images))


def rows(name: str, data: DataSet, detectors: Sequence[str], looks: Extractor, folder: Path) -> Iterator[str]:
    """A row for each detector."""
    for detector in detectors:
        found = ByFault.of(data, detector, looks, folder / detector)
        faults = [kind for kind in dict.fromkeys(found.kinds.tolist()) if kind != GOOD]
        apart = ", ".join(f"{fault} {found.area([fault]):.3f}" for fault in faults)
        took = f"{found.judged.teach_s:.0f} | {found.judged.frame_ms:.0f}"
        yield f"| {name} | {detector} | {found.area(faults):.3f} | {apart} | {found.shares(faults)} | {took} |"


def main() -> None:
    """Print the table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--taught", type=int, default=60, help="good parts to teach")
    parser.add_argument("--good", type=int, default=60, help="good parts to judge")
    parser.add_argument("--bad", type=int, default=30, help="faulty parts to judge, of each fault")
    options = arguments.parse(parser, taught=9, good=2, bad=1)
    log_to("console", level=40)
    looks = backbone(TINY)
    print("| set | detector | AUROC | each fault | false rejects, recall at 2 % | teach, s | a frame, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for title, kinds in list(SETS.items())[-1 if options.short else 0 :]:
            data = rendered(kinds, Path(name) / f"{title}-parts", options.taught, options.good, options.bad)
            (Path(name) / title).mkdir()
            detectors = DETECTORS[-1:] if options.short else DETECTORS
            for row in rows(title, data, detectors, looks, Path(name) / title):
                print(row, flush=True)


if __name__ == "__main__":
    main()
