"""Sets of rendered parts, good ones and some of each fault, and one detector on them with each fault told apart."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.lib import arguments
from bench.lib.taught_lines import untracked
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.evaluation.judged import Judged, judge
from daemon.evaluation.metrics import auroc
from daemon.settings.load import load
from memory.extract import Extractor

Render = Callable[[int], bytes]  # the file of the part of this number


def parsed(doc: str | None) -> argparse.Namespace:
    """The arguments of a benchmark: how many parts to teach, and how many good and faulty ones to judge."""
    parser = arguments.parser(doc)
    parser.add_argument("--taught", type=int, default=60, help="good parts to teach")
    parser.add_argument("--good", type=int, default=60, help="good parts to judge")
    parser.add_argument("--bad", type=int, default=30, help="faulty parts to judge, of each fault")
    return arguments.parse(parser, taught=9, good=2, bad=1)


def rendered(kinds: Mapping[str, Render], folder: Path, suffix: str, counts: argparse.Namespace) -> DataSet:
    """A data set of rendered parts of these kinds, good ones first, no two of the same number; their files lie in
    `folder`."""
    images = []
    folder.mkdir()
    wanted = [
        (Split.TRAIN, GOOD, counts.taught),
        *((Split.TEST, kind, counts.good if kind == GOOD else counts.bad) for kind in kinds),
    ]
    for split, kind, count in wanted:
        for _ in range(count):
            path = folder / f"{len(images):04d}{suffix}"
            path.write_bytes(kinds[kind](len(images)))
            images.append(LabelledImage(path, split, kind))
    return DataSet(tuple(images))


@dataclass(frozen=True)
class ByFault:
    """What a detector made of a set: the scores (n,) of its test images, and the fault of each, or that it is good."""

    judged: Judged
    scores: npt.NDArray[np.float64]
    kinds: npt.NDArray[Any]

    @classmethod
    def of(cls, data: DataSet, detector: str, looks: Extractor, folder: Path, overrides: Sequence[str] = ()) -> ByFault:
        """A detector of this kind, taught and tried in a state folder of its own."""
        chosen = [f"state_dir={folder}", f"memory.detector={detector}", "extractor.device=cpu", *overrides]
        judged = judge(data, load(None, chosen), looks, folder, untracked)
        scores = np.array([one.score for one in judged.images])
        return cls(judged, scores, np.array([one.image.kind for one in judged.images]))

    def area(self, faults: Iterable[str]) -> float | None:
        """AUROC of good parts and those with any of these faults."""
        good, bad = self.kinds == GOOD, np.isin(self.kinds, list(faults))
        return auroc(self.scores[good | bad], bad[good | bad])

    @property
    def took(self) -> str:
        """The seconds of teaching and the milliseconds of a frame, as cells have them."""
        return f"{self.judged.teach_s:.0f} | {self.judged.frame_ms:.0f}"

    def shares(self, faults: Iterable[str]) -> str:
        """Which share of good parts, and of those with any of these faults, lies above the threshold, as cells have
        it."""
        above = self.scores > self.judged.threshold.value
        return f"{above[self.kinds == GOOD].mean():.0%}, {above[np.isin(self.kinds, list(faults))].mean():.0%}"
