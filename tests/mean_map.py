"""A second kind of detector, as another package would bring it: the distance to the mean features of taught parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import Arrays, Bounds, Capacity, Detector, Extension, GoodPart, Repair, Score
from memory.features import Map, Patches, PatchMask, View

KIND = "mean-map"


@dataclass(frozen=True, eq=False)
class MeanMap:
    """Taught parts' features `taught` (n, P, D) of `samples`; a score is the largest distance to their mean."""

    taught: Patches
    samples: tuple[str, ...]
    kind: str = field(default=KIND, init=False)

    @property
    def size(self) -> int:
        """How many parts it holds."""
        return len(self.taught)

    def score(self, view: View) -> Score:
        """The distance to the mean of all."""
        return self._score(view, self.taught)

    def score_without(self, view: View, sample: str) -> Score:
        """The distance to the mean of the others."""
        others = [i for i, name in enumerate(self.samples) if name != sample]
        return self._score(view, self.taught[others] if others else self.taught)

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The distance under the mask."""
        anomaly: Map = np.where(mask, self._score(view, self.taught).map, np.float32(0))
        return Score(float(anomaly.max()), anomaly)

    def warm_up(self) -> None:
        """Nothing to make."""

    def arrays(self) -> Arrays:
        """In float16, as all features."""
        return {"taught": self.taught.astype(np.float16)}

    def _score(self, view: View, taught: Patches) -> Score:
        distance = np.linalg.norm(view.features.patches - taught.mean(axis=0), axis=1).astype(np.float32)
        anomaly = view.features.to_map(distance)
        nearest = np.linalg.norm(taught - view.features.patches, axis=(1, 2)).argmin()
        return Score(float(anomaly.max()), anomaly, {"sample": self.samples[int(nearest)]})


class MeanMapLearner:
    """Takes every confirmed part in, and cannot un-learn."""

    kind = KIND
    split_calibration = False

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> MeanMap:
        """The mean of all."""
        del capacity, seed
        return MeanMap(np.stack([good.view.features.patches for good in goods]), tuple(g.sample for g in goods))

    def finish(
        self,
        detector: Detector,
        calibration_set: CalibrationSet,
        defects: Sequence[Defect],
        exceeded_by: Callable[[float], float],
    ) -> Detector:
        """As it is."""
        del calibration_set, defects, exceeded_by
        return detector

    def extend(
        self,
        base: Detector,
        goods: Sequence[GoodPart],
        defects: Sequence[Defect],
        bounds: Bounds,
        waiting: Collection[str],
        capacity: Capacity,
        seed: int,
    ) -> Extension:
        """With all parts that are new."""
        del defects, bounds, waiting, capacity, seed
        assert isinstance(base, MeanMap)
        new = [good for good in goods if good.sample not in base.samples]
        if not new:
            return Extension(base, learned=False)
        taught = np.concatenate([base.taught, np.stack([good.view.features.patches for good in new])])
        return Extension(MeanMap(taught, (*base.samples, *(good.sample for good in new))), learned=True)

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:
        """None: a mean cannot be taken apart."""
        del detector, defect, threshold
        return iter(())

    def blame(self, base: Detector, extended: Detector, missed: Sequence[Defect], threshold: float) -> frozenset[str]:
        """All that is new has moved the mean."""
        del missed, threshold
        return self.contributors(base, extended)

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:
        """The parts that came in."""
        return frozenset(extended.samples) - frozenset(base.samples)

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> MeanMap:
        """What was stored."""
        return MeanMap(arrays["taught"].astype(np.float32), samples)
