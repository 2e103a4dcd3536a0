"""What is odd about a set of taught parts: which look unlike the others, and whether they are of two kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.calibration import CalibrationSet
from memory.features import Features
from policies.threshold import listed

UNLIKE = 2.0  # times the middle score: good parts of fourteen sets stay below it
FEWEST = 8  # parts that have a middle worth the name
APART = 1.4  # times the largest distance to a nearest neighbour: sets of one kind have up to 1.36
FEWEST_OF_TWO, LEAST_KIND = 16, 3
NAMED = 3

Descriptions = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TaughtSet:
    """`ranked` are the calibration parts, the oddest first, each with its leave-one-out score in multiples of the
    middle one; `other_kind` are the parts of the smaller of two kinds, none where all are of one."""

    ranked: tuple[tuple[str, float], ...]
    other_kind: tuple[str, ...] = ()

    @property
    def unlike(self) -> tuple[str, ...]:
        """The parts that look so unlike the others that somebody must look at them."""
        return tuple(name for name, times in self.ranked if times > UNLIKE) if len(self.ranked) >= FEWEST else ()

    @property
    def words(self) -> str:
        """In words, which parts to look at, and two kinds if there are any."""
        first = ", ".join(f"{name} ({times:.1f})" for name, times in self.ranked[: max(NAMED, len(self.unlike))])
        if self.unlike:
            sentences = [
                f"{len(self.unlike)} of {len(self.ranked)} parts look unlike the others (times the middle score):"
                f" {first}. See whether they are good, and teach again without those that are not"
            ]
        else:
            sentences = [f"the oddest parts (times the middle score): {first}"]
        if self.other_kind:
            sentences.append(
                f"{len(self.other_kind)} of {len(self.ranked)} parts are of another kind or were seen in another light:"
                f" {listed(self.other_kind)}. Teach one kind alone, or enough of both"
            )
        return ". ".join(sentences)


def examine(calibration_set: CalibrationSet, scores: Sequence[float]) -> TaughtSet:
    """What is odd about calibration parts with these leave-one-out `scores`."""
    middle = float(np.median(scores)) or 1.0
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    ranked = tuple((calibration_set.samples[i], scores[i] / middle) for i in order)
    other = smaller_kind(np.stack([described(features) for features in calibration_set.features]))
    return TaughtSet(ranked, tuple(calibration_set.samples[i] for i in np.flatnonzero(other)))


def described(features: Features) -> npt.NDArray[np.float64]:
    """A part as a whole: the mean and standard deviation (2 D,) of its patches, of a large image on its lattice."""
    patches = features.patches[features.lattice].astype(np.float64)
    return np.concatenate([patches.mean(axis=0), patches.std(axis=0)])


def smaller_kind(descriptions: Descriptions) -> npt.NDArray[np.bool_]:
    """Which of the parts (n,) with these descriptions (n, d) are of the smallest kind; none where all are of one.

    Parts are of one kind where a chain of steps leads from each to each, none longer than `APART` times the largest
    distance from a part to its nearest neighbour: single linkage (Sneath, "The application of computers to taxonomy",
    1957), which a single odd part cannot make apart, since its own distance lengthens the step.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # only a teach needs them
    from scipy.spatial.distance import pdist, squareform

    if len(descriptions) < FEWEST_OF_TWO:
        return np.zeros(len(descriptions), dtype=bool)
    apart = pdist(descriptions)
    nearest = (squareform(apart) + np.diag(np.full(len(descriptions), np.inf))).min(axis=1)
    kinds = fcluster(linkage(apart, "single"), APART * nearest.max(), "distance")  # (n,), named from 1 on
    names, first, counts = np.unique(kinds, return_index=True, return_counts=True)
    told = len(names) > 1 and counts.min() >= LEAST_KIND
    smallest: npt.NDArray[np.bool_] = (kinds == names[np.lexsort((first, counts))[0]]) & told
    return smallest
