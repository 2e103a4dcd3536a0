"""The interfaces of a detector and of its learner. A new kind of detector is one file that implements both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.features import Features, Map, PatchMask, View

PATCH_BANK = "patch-bank"  # our own kind, and the only one in versions that do not name it

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Score:
    """A detector's score of one image.

    `map` (rows, columns) f32 is the anomaly map and `value` its maximum. `evidence` is JSON for `driftline why`, opaque
    to all other code, except that its `sample` names the taught part that decided. Scores compare only within one
    version.
    """

    value: float
    map: Map
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Detector(Protocol):
    """A model that scores views; immutable and safe to be used by several threads.

    `kind` names its `Learner`; `size` counts its elements (a bank's patches); `samples` are the taught parts that it
    holds something of.
    """

    @property
    def kind(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def samples(self) -> tuple[str, ...]: ...

    def score(self, view: View) -> Score:
        """The score that decides the verdict."""

    def score_without(self, view: View, sample: str) -> Score:
        """The score as if `sample` had not been taught; the plain score where nothing else was taught."""

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The score of the masked patches (rows, columns) alone, not raised by any memory of confirmed defects. The map
        is 0 elsewhere."""

    def warm_up(self) -> None:
        """Prepare what scoring needs, so that the first image does not wait for it."""

    def arrays(self) -> Arrays:
        """All its data except `samples`, for the store; `Learner.load` restores it bit for bit."""


@dataclass(frozen=True)
class GoodPart:
    """A good part, taught or confirmed by an operator. `sample` is its file name or frame id; `part` names the thing
    photographed, empty where that is not known. `turned` are the features of the same image turned a little, where so
    few parts are taught that they do not show how one may lie: they may teach, and calibrate nothing."""

    sample: str
    view: View
    part: str = ""
    turned: tuple[Features, ...] = ()

    @property
    def thing(self) -> str:
        """The thing photographed: `part`, or else `sample`."""
        return self.part or self.sample


@dataclass(frozen=True)
class Capacity:
    """Limits of a detector's growth: its largest `size`, and by how much one `lesson` may extend it."""

    size: int
    lesson: int


@dataclass(frozen=True)
class Bounds:
    """The two scores that a lesson compares with: above `threshold` a part is flagged, above `novelty` it is new."""

    threshold: float
    novelty: float


@dataclass(frozen=True)
class Extension:
    """A detector extended by confirmed parts, before `Learner.finish`; `learned` is whether it took anything from them.

    `waiting` are samples that show something new which no second part shows yet, `refused` those that are too like a
    confirmed defect.
    """

    detector: Detector
    learned: bool
    waiting: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repair:
    """A detector without the patches that hid a defect: `removed_patches` as (sample, number in its grid)."""

    detector: Detector
    removed_patches: tuple[tuple[str, int], ...]


class Learner(Protocol):
    """Stateless functions that teach, extend, repair and load one kind of detector.

    `split_calibration` is whether parts that calibrate must be left out of the fit; they need not be where
    `score_without` leaves a part out exactly.
    """

    @property
    def kind(self) -> str: ...

    @property
    def split_calibration(self) -> bool: ...

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> Detector:
        """A detector taught from good parts; deterministic in its arguments. A part may be read whenever it is asked
        for (`memory.on_demand`): go through them one by one, seldom, and hold none."""

    def finish(
        self,
        detector: Detector,
        calibration_set: CalibrationSet,
        defects: Sequence[Defect],
        exceeded_by: Callable[[float], float],
    ) -> Detector:
        """The detector with what it takes from calibration parts and confirmed defects. That changes no `score_without`
        of a calibration part and no `score_in`, and so no threshold. `exceeded_by` gives the score that a share of the
        calibration parts exceeds."""

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
        """`base` extended by confirmed good parts; of those that were `waiting`, only what is still new is learned."""

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:
        """Detectors, before `finish`, that un-learn what hides a missed defect, so that it exceeds the threshold: the
        smallest change first; none where this kind cannot un-learn."""

    def blame(self, base: Detector, extended: Detector, missed: Sequence[Defect], threshold: float) -> frozenset[str]:
        """The samples whose newly learned content hides these defects, which `base` would detect."""

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:
        """The samples from which `extended` has learned something that `base` does not hold."""

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> Detector:
        """The detector whose `arrays` these are, also in an older format. Raises KeyError, ValueError or TypeError for
        arrays of another shape."""


@runtime_checkable
class Retrained(Learner, Protocol):
    """A learner of a kind that learns some of what it is taught by being trained again: from time to time, in a process
    of its own, as a proposal that must pass the gate."""

    def outdated(self, detector: Detector) -> bool:
        """Whether the detector holds what it was not trained on yet, or no longer holds something that it was."""

    def retrain(self, detector: Detector, seed: int) -> Arrays:
        """What training on all that the detector holds gives; deterministic in its arguments on one machine. It may
        take minutes."""

    def with_retrained(self, detector: Detector, arrays: Arrays) -> Detector:
        """A detector with what `retrain` gave of it, or of one before it. Raises KeyError or ValueError for other
        arrays."""
