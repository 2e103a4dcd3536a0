"""One detector on a set of rendered parts, with each fault told apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.lib.taught_lines import untracked
from daemon.datasets.labelled import GOOD, DataSet
from daemon.evaluation.judged import Judged, judge
from daemon.evaluation.metrics import auroc
from daemon.settings.load import load
from memory.extract import Extractor


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

    def shares(self, faults: Iterable[str]) -> str:
        """Which share of good parts, and of those with any of these faults, lies above the threshold, as cells have
        it."""
        above = self.scores > self.judged.threshold.value
        return f"{above[self.kinds == GOOD].mean():.0%}, {above[np.isin(self.kinds, list(faults))].mean():.0%}"
