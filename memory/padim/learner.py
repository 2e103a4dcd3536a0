"""The learner of PaDiM: teaches it, adds confirmed parts one by one, and loads it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import Arrays, Bounds, Capacity, Detector, Extension, GoodPart, Repair
from memory.features import PatchMask
from memory.padim.detector import PADIM, Padim, unsuitable

CHANNELS = 100  # Defard et al., section III-A: a random choice of channels loses next to nothing
MOST_VALUES = 1 << 24  # of all covariances: of many places, fewer channels are taken


class PadimLearner:
    """The learner of PaDiM: adds each confirmed part to the moments; it cannot un-learn what hides a defect."""

    kind = PADIM
    split_calibration = False

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> Padim:  # noqa: ARG002
        """The moments of the parts. Raises UnsuitableImages where images are so large that not all patches are taught,
        or the parts do not have the same places."""
        first = goods[0].view.features
        for good in goods:
            if good.view.features.large or not np.array_equal(good.view.features.cells, first.cells):
                raise unsuitable(good)
        channels = min(CHANNELS, first.patches.shape[1], int(np.sqrt(MOST_VALUES / len(first))))
        drawn = np.random.default_rng(seed).choice(first.patches.shape[1], channels, replace=False)
        empty = Padim(
            samples=(),
            channels=np.sort(drawn).astype(np.int64),
            cells=first.cells,
            mean=np.zeros((len(first), channels)),
            scatter=np.zeros((len(first), channels * (channels + 1) // 2), dtype=np.float32),
        )
        return empty.with_parts(goods)

    def finish(
        self,
        detector: Detector,
        calibration_set: CalibrationSet,  # noqa: ARG002  # it takes nothing from them
        defects: Sequence[Defect],  # noqa: ARG002
        exceeded_by: Callable[[float], float],  # noqa: ARG002
    ) -> Detector:
        """The detector as it is."""
        return detector

    def extend(
        self,
        base: Detector,
        goods: Sequence[GoodPart],
        defects: Sequence[Defect],  # noqa: ARG002  # the gate sees to them
        bounds: Bounds,
        waiting: Collection[str],  # noqa: ARG002  # they are among the parts
        capacity: Capacity,  # noqa: ARG002
        seed: int,  # noqa: ARG002
    ) -> Extension:
        """The moments with the confirmed parts. What is new at a place, above `bounds.novelty`, waits for a second part
        that is new there or beside it."""
        padim = _padim(base)
        fresh = [good for good in goods if good.sample not in padim.samples]
        new = {good.sample: padim.score(good.view).map > bounds.novelty for good in fresh}
        alone = [good for good in fresh if new[good.sample].any() and not _seconded(good, fresh, new)]
        learning = [good for good in fresh if good not in alone]
        extended = padim.with_parts(learning) if learning else padim
        return Extension(extended, bool(learning), tuple(good.sample for good in alone))

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:  # noqa: ARG002
        """None: moments do not tell which part hides a defect."""
        yield from ()

    def blame(
        self,
        base: Detector,
        extended: Detector,
        missed: Sequence[Defect],  # noqa: ARG002
        threshold: float,  # noqa: ARG002
    ) -> frozenset[str]:
        """All new parts: each moved the mean and widened the Gaussian."""
        return self.contributors(base, extended)

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:
        """The parts that are new."""
        return frozenset(extended.samples) - frozenset(base.samples)

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> Padim:
        """The detector that was stored."""
        channels, cells = arrays["channels"].astype(np.int64), arrays["cells"].astype(np.int64)
        mean, scatter = arrays["mean"].astype(np.float64), arrays["scatter"].astype(np.float32)
        d = len(channels)
        if mean.shape != (len(cells), d) or scatter.shape != (len(cells), d * (d + 1) // 2):
            raise ValueError(f"moments of {mean.shape} and {scatter.shape} for {len(cells)} places and {d} channels")
        return Padim(samples, channels, cells, mean, scatter)


def _seconded(good: GoodPart, others: Sequence[GoodPart], new: Mapping[str, PatchMask]) -> bool:
    """Whether each place where a part is new has a new one of another part within a place of it."""
    rows, columns = np.nonzero(new[good.sample])
    around = np.zeros_like(new[good.sample])
    for other in others:
        if other.thing != good.thing:
            for row, column in np.argwhere(new[other.sample]):
                around[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
    return bool(around[rows, columns].all())


def _padim(detector: Detector) -> Padim:
    assert isinstance(detector, Padim)  # noqa: S101  # `learner_of` chose this learner by the detector's kind
    return detector
