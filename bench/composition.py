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

from bench.lib.by_fault import ByFault, Render, parsed, rendered
from bench.lib.material import TINY, backbone
from bench.lib.rendered_boards import TRAY_SCREWS, Fault, board, tray
from daemon.datasets.labelled import GOOD, DataSet
from daemon.settings.logs import log_to
from memory.extract import Extractor
from memory.features import Image

DETECTORS = ("patch-bank", "padim", "composition")


def _png(render: Callable[[int], Image]) -> Render:
    return lambda number: cv2.imencode(".png", render(number)[:, :, ::-1])[1].tobytes()


BOARDS = {GOOD: _png(board), **{fault.value: _png(partial(board, fault=fault)) for fault in Fault}}
TRAYS = {GOOD: _png(tray)}
TRAYS |= {f"{screws} screws": _png(partial(tray, screws=screws)) for screws in (TRAY_SCREWS - 1, TRAY_SCREWS + 1)}

SETS = {"boards": BOARDS, "trays": TRAYS}


def rows(name: str, data: DataSet, detectors: Sequence[str], looks: Extractor, folder: Path) -> Iterator[str]:
    """A row for each detector."""
    for detector in detectors:
        found = ByFault.of(data, detector, looks, folder / detector)
        faults = [kind for kind in dict.fromkeys(found.kinds.tolist()) if kind != GOOD]
        apart = ", ".join(f"{fault} {found.area([fault]):.3f}" for fault in faults)
        yield f"| {name} | {detector} | {found.area(faults):.3f} | {apart} | {found.shares(faults)} | {found.took} |"


def main() -> None:
    """Print the table."""
    options = parsed(__doc__)
    log_to("console", level=40)
    looks = backbone(TINY)
    print("| set | detector | AUROC | each fault | false rejects, recall at 2 % | teach, s | a frame, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for title, kinds in list(SETS.items())[-1 if options.short else 0 :]:
            data = rendered(kinds, Path(name) / f"{title}-parts", ".png", options)
            (Path(name) / title).mkdir()
            detectors = DETECTORS[-1:] if options.short else DETECTORS
            for row in rows(title, data, detectors, looks, Path(name) / title):
                print(row, flush=True)


if __name__ == "__main__":
    main()
