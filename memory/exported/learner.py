"""The learner of exported models, which learn nothing here: their threshold does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import Arrays, Bounds, Capacity, Detector, Extension, GoodPart, Repair
from memory.exported.detector import EXPORTED, Exported


class ExportedLearner:
    """The learner of exported models: good parts calibrate them, and teach them nothing."""

    kind = EXPORTED
    split_calibration = False

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> Exported:  # noqa: ARG002
        """The detector, whatever the parts."""
        return Exported()

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
        goods: Sequence[GoodPart],  # noqa: ARG002
        defects: Sequence[Defect],  # noqa: ARG002
        bounds: Bounds,  # noqa: ARG002
        waiting: Collection[str],  # noqa: ARG002
        capacity: Capacity,  # noqa: ARG002
        seed: int,  # noqa: ARG002
    ) -> Extension:
        """The detector as it is: audited parts move its threshold alone."""
        return Extension(base, learned=False)

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:  # noqa: ARG002
        """None."""
        yield from ()

    def blame(
        self,
        base: Detector,  # noqa: ARG002
        extended: Detector,  # noqa: ARG002
        missed: Sequence[Defect],  # noqa: ARG002
        threshold: float,  # noqa: ARG002
    ) -> frozenset[str]:
        """Nobody."""
        return frozenset()

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:  # noqa: ARG002
        """Nobody."""
        return frozenset()

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> Exported:  # noqa: ARG002
        """The detector."""
        return Exported()
