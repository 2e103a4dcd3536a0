"""Defects that only their depth shows: rendered plates, judged by colours alone and with their heights.

usage: python -m bench.depth [--taught 60] [--good 60] [--bad 30] [--short]

Each detector is taught good ones and judges others, each fault apart, as `driftline bench` does. Only the colours show
the stain: what is lost there, depth costs. Markdown on stdout.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.lib import arguments
from bench.lib.material import TINY, backbone
from bench.lib.rendered_depth import Fault, part
from bench.lib.taught_lines import untracked
from daemon.datasets.depth_frames import PAGES, joined
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.evaluation.judged import judge
from daemon.evaluation.metrics import auroc
from daemon.settings.load import load
from daemon.settings.logs import log_to
from memory.extract import Extractor

DETECTORS = ("patch-bank", "padim", "simplenet", "composition")
LOOKS = {"colours": [f"source.page={PAGES['page']}"]}
LOOKS["with depth"] = [*LOOKS["colours"], f"source.depth_page={PAGES['depth_page']}"]


def rendered(folder: Path, taught: int, good: int, bad: int) -> DataSet:
    """A data set of rendered frames with depth, no two of the same number."""
    images = []
    wanted = [(Split.TRAIN, None, taught), (Split.TEST, None, good), *((Split.TEST, fault, bad) for fault in Fault)]
    for split, fault, count in wanted:
        for _ in range(count):
            path = folder / f"{len(images):04d}.tiff"
            path.write_bytes(joined(*part(len(images), fault)))
            images.append(LabelledImage(path, split, fault.value if fault else GOOD))
    return DataSet(tuple(images))


def rows(data: DataSet, detectors: Sequence[str], looks: Extractor, folder: Path) -> Iterator[str]:
    """A row for each detector and what it looks at."""
    for detector in detectors:
        for seen, pages in LOOKS.items():
            state = folder / f"{detector}-{seen}"
            chosen = [f"state_dir={state}", f"memory.detector={detector}", "extractor.device=cpu", *pages]
            settings = load(None, chosen)
            judged = judge(data, settings, looks, state, untracked)
            scores = np.array([one.score for one in judged.images])
            kinds = np.array([one.image.kind for one in judged.images])
            above = scores > judged.threshold.value
            deep = ~np.isin(kinds, [GOOD, Fault.STAIN])
            good = kinds == GOOD
            counted = f"{above[good].mean():.0%}, {above[deep].mean():.0%}"
            took = f"{judged.teach_s:.0f} | {judged.frame_ms:.0f}"
            apart = " | ".join(_auroc(scores, good, kinds == fault) for fault in Fault)
            yield f"| {detector} | {seen} | {_auroc(scores, good, deep)} | {apart} | {counted} | {took} |"


def _auroc(scores: npt.NDArray[Any], good: npt.NDArray[Any], bad: npt.NDArray[Any]) -> str:
    return f"{auroc(scores[good | bad], bad[good | bad]):.3f}"


def main() -> None:
    """Print the table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--taught", type=int, default=60, help="good parts to teach")
    parser.add_argument("--good", type=int, default=60, help="good parts to judge")
    parser.add_argument("--bad", type=int, default=30, help="faulty parts to judge, of each fault")
    options = arguments.parse(parser, taught=9, good=2, bad=1)
    log_to("console", level=40)
    looks = backbone(TINY)
    faults = " | ".join(Fault)
    print(
        f"| detector | looks at | AUROC of depth | {faults} | false rejects, recall at 2 % | teach, s | a frame, ms |"
    )
    print(f"|{' --- |' * (6 + len(Fault))}")
    with tempfile.TemporaryDirectory() as name:
        (parts := Path(name) / "parts").mkdir()
        data = rendered(parts, options.taught, options.good, options.bad)
        for row in rows(data, DETECTORS[: 1 if options.short else None], looks, Path(name)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
