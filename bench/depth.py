"""Defects that only their depth shows: rendered plates, judged by colours alone and with their heights.

usage: python -m bench.depth [--taught 60] [--good 60] [--bad 30] [--short]

Each detector is taught good ones and judges others, each fault apart, as `driftline bench` does. Only the colours show
the stain: what is lost there, depth costs. Markdown on stdout.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.lib.by_fault import ByFault, Render, parsed, rendered
from bench.lib.material import TINY, backbone
from bench.lib.rendered_depth import Fault, part
from daemon.datasets.depth_frames import PAGES, joined
from daemon.datasets.labelled import GOOD, DataSet
from daemon.settings.logs import log_to
from memory.extract import Extractor

DETECTORS = ("patch-bank", "padim", "simplenet", "composition")
LOOKS = {"colours": [f"source.page={PAGES['page']}"]}
LOOKS["with depth"] = [*LOOKS["colours"], f"source.depth_page={PAGES['depth_page']}"]


def _frame(fault: Fault | None) -> Render:
    return lambda number: joined(*part(number, fault))


KINDS = {GOOD: _frame(None), **{fault.value: _frame(fault) for fault in Fault}}


def rows(data: DataSet, detectors: Sequence[str], looks: Extractor, folder: Path) -> Iterator[str]:
    """A row for each detector and what it looks at."""
    deep = [fault.value for fault in Fault if fault is not Fault.STAIN]
    for detector in detectors:
        for seen, pages in LOOKS.items():
            found = ByFault.of(data, detector, looks, folder / f"{detector}-{seen}", pages)
            areas = " | ".join(f"{found.area(faults):.3f}" for faults in (deep, *([fault.value] for fault in Fault)))
            yield f"| {detector} | {seen} | {areas} | {found.shares(deep)} | {found.took} |"


def main() -> None:
    """Print the table."""
    options = parsed(__doc__)
    log_to("console", level=40)
    looks = backbone(TINY)
    faults = " | ".join(Fault)
    print(
        f"| detector | looks at | AUROC of depth | {faults} | false rejects, recall at 2 % | teach, s | a frame, ms |"
    )
    print(f"|{' --- |' * (6 + len(Fault))}")
    with tempfile.TemporaryDirectory() as name:
        data = rendered(KINDS, Path(name) / "parts", ".tiff", options)
        for row in rows(data, DETECTORS[: 1 if options.short else None], looks, Path(name)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
