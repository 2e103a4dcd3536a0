"""Whitening: a linear map under which the taught patches vary alike in every direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.features import Patches

SHRINKING_PARTS = 2.0
CHUNK = 16_384


@dataclass(frozen=True, eq=False)
class Whitening:
    """The map x ↦ (x − `mean`) `matrix` of patches (n, D), with `mean` (D,) and a symmetric `matrix` (D, D).

    Distances after it are Mahalanobis distances under the covariance of the taught patches: a step along which they
    hardly vary counts as much as one along which they vary most. It is chosen at teach time and never changes by
    learning.
    """

    mean: npt.NDArray[np.float32]
    matrix: npt.NDArray[np.float32]

    @classmethod
    def of(cls, taught: Sequence[Patches]) -> Whitening:
        """The whitening of taught parts' patches (n, D) each, of all of them together.

        Zero-phase component analysis (Bell and Sejnowski, "The independent components of natural scenes are edge
        filters", 1997): the inverse square root of the covariance, here shrunk towards its mean variance (as Ledoit and
        Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004) by the share that
        `SHRINKING_PARTS` are of all parts. Few parts hardly tell what none of them shows, and each would look calmer
        than a new one by a whitening of its own.
        """
        count, width = sum(len(patches) for patches in taught), taught[0].shape[1]
        mean = np.sum([patches.sum(axis=0, dtype=np.float64) for patches in taught], axis=0) / count
        covariance = np.zeros((width, width))
        for patches in taught:
            apart = patches - mean
            covariance += apart.T @ apart / count
        variance = float(np.trace(covariance)) / width
        if variance == 0:  # all patches are alike
            return cls(mean.astype(np.float32), np.eye(width, dtype=np.float32))
        shrinkage = min(SHRINKING_PARTS / len(taught), 1.0)
        size, axes = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * variance * np.eye(width))
        # In the mean over directions a step stays as long as it was, so that scores keep their size.
        return cls(mean.astype(np.float32), (axes * np.sqrt(variance / size) @ axes.T).astype(np.float32))

    def __call__(self, patches: Patches) -> Patches:
        """The patches (n, D) after the map. It is computed in float64 and rounded to float16, so that a patch is itself
        to the bit in whatever batch it comes."""
        mapped = np.empty_like(patches)
        matrix = self.matrix.astype(np.float64)
        for first in range(0, len(patches), CHUNK):
            part = (patches[first : first + CHUNK].astype(np.float64) - self.mean) @ matrix
            mapped[first : first + CHUNK] = part.astype(np.float16)
        return mapped
