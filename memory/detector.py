"""The seam: what a detector is, and how its kind is taught and grows. A new kind is one file that has both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.features import Map, PatchMask, View

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Score:
    """What a detector says of one image.

    `map` (rows, columns) f32 is the anomaly map and `value` its maximum. `evidence` is JSON for `driftline why`, opaque
    to all else, but that `sample` in it names the taught part that decided. Scores compare only within one version.
    """

    value: float
    map: Map
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Detector(Protocol):
    """Scores views. Immutable and safe to be used by several threads.

    `kind` names its `Learner`; `size` counts what it holds (a bank: its patches); `samples` are the taught parts that
    gave it something.
    """

    @property
    def kind(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def samples(self) -> tuple[str, ...]: ...

    def score(self, view: View) -> Score:
        """The score that judges."""

    def score_without(self, view: View, sample: str) -> Score:
        """The score if `sample` had given nothing; by all where no other gave anything."""

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The score of the masked patches (rows, columns) alone, by what good parts taught: no memory of confirmed
        defects raises it. The map is 0 elsewhere."""

    def warm_up(self) -> None:
        """Make now what scoring needs; the first image would wait for it otherwise."""

    def arrays(self) -> Arrays:
        """Everything it is made of but `samples`, for the store; `Learner.load` makes it anew, to the bit."""


@dataclass(frozen=True)
class GoodPart:
    """A part that is good: taught, or confirmed by an operator. `sample` is its file name or frame id; `part` names the
    thing photographed, the sample itself where that is not known."""

    sample: str
    view: View
    part: str = ""

    @property
    def thing(self) -> str:
        """What was photographed."""
        return self.part or self.sample


@dataclass(frozen=True)
class Capacity:
    """How large a detector may be, `size`, and by how much one lesson may extend it, `lesson`."""

    size: int
    lesson: int


@dataclass(frozen=True)
class Bounds:
    """Scores that matter to a lesson: above `threshold` a part is flagged, and what scores above `novelty` is new."""

    threshold: float
    novelty: float


@dataclass(frozen=True)
class Extension:
    """A detector after it was offered confirmed parts, not finished yet; `learned` says whether it took anything.

    `waiting` are samples that show something which no second part shows yet, `refused` those that are too much like a
    confirmed defect.
    """

    detector: Detector
    learned: bool
    waiting: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repair:
    """A detector without something that hid a defect: `removed_patches` by sample and number in its grid."""

    detector: Detector
    removed_patches: tuple[tuple[str, int], ...]


class Learner(Protocol):
    """How one kind of detector is taught, grows, is put right and is read from disk. It has no state.

    `split_calibration` says whether parts that calibrate must be left out of the fit: not where `score_without` can
    leave a part out by itself.
    """

    @property
    def kind(self) -> str: ...

    @property
    def split_calibration(self) -> bool: ...

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> Detector:
        """A detector of taught good parts, deterministic in its arguments."""

    def finish(
        self,
        detector: Detector,
        calibration_set: CalibrationSet,
        defects: Sequence[Defect],
        exceeded_by: Callable[[float], float],
    ) -> Detector:
        """The detector with what calibration parts and confirmed defects teach it beside good parts. It changes no
        `score_without` of a calibration part and no `score_in`, and so no threshold. `exceeded_by` gives the score that
        this share of calibration parts exceeds."""

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
        """What `base` becomes by confirmed goods, of which `waiting` ones offer only what is still new."""

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:
        """Ways to make a missed defect exceed the threshold by un-learning, the gentlest first; none where it cannot
        un-learn. Not finished."""

    def blame(self, base: Detector, extended: Detector, missed: Sequence[Defect], threshold: float) -> frozenset[str]:
        """The samples whose new contributions explain these defects away, which `base` would show."""

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:
        """The samples that gave what `extended` has and `base` has not."""

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> Detector:
        """The detector that `arrays` were made of, also by an older format. Raises KeyError, ValueError or TypeError
        for arrays of another shape."""
