"""The defect memory: it raises scores near confirmed defects, so that the next of their kind stands out more."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from memory.distances import Vectors
from memory.patch_bank.index import Index

NEVER = float("inf")
MOST_AMPLIFIED = np.float32(10.0)
MOST_LIKELY = np.float32(1e6)


@dataclass(frozen=True, eq=False)
class DefectMemory:
    """The patches of confirmed defects, `vectors` (M, D), and when they raise a score.

    The likeness of a patch is its distance to the nearest good patch over that to the nearest of `vectors`. Where the
    patch's normalised distance exceeds `min_distance` and its likeness `max_good_likeness`, the largest that any
    calibration part has, the distance is multiplied by likeness over `max_good_likeness`. So the memory changes no
    calibration part's score and no threshold, and defects of unseen kinds score as they would without it.
    """

    vectors: Vectors
    min_distance: float = NEVER
    max_good_likeness: float = 1.0
    _index: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", Index(self.vectors))

    def amplify(self, patches: Vectors, distance: Vectors, scale: float) -> Vectors:
        """The normalised distances (P,) of patches (P, D), raised where these are like a confirmed defect, at most
        `MOST_AMPLIFIED` times."""
        likeness = self.likeness(patches, distance, scale) / np.float32(self.max_good_likeness)
        raised: Vectors = distance * np.clip(likeness, 1, MOST_AMPLIFIED)
        return raised

    def likeness(self, patches: Vectors, distance: Vectors, scale: float) -> Vectors:
        """The likeness (P,) to confirmed defects of the patches (P, D) whose normalised distance (P,) exceeds
        `min_distance` ≥ 0, at most `MOST_LIKELY`; 0 elsewhere. `scale` is what distances were divided by."""
        likeness = np.zeros_like(distance)
        anomalous = np.flatnonzero(distance > self.min_distance)
        if len(self.vectors) and len(anomalous):
            to_defect, _ = self._index.search_flat(patches[anomalous])
            to_good = distance[anomalous] * np.float32(scale)
            likeness[anomalous] = to_good / np.maximum(to_defect, to_good / MOST_LIKELY)
        return likeness
