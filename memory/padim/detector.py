"""PaDiM, a detector: a Gaussian of patch features for each place of the image, learned part by part.

Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization", ICPR 2021. It
suits parts that lie the same in every image; what may lie anywhere is better judged by the patch bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from memory.detector import Arrays, GoodPart, Score
from memory.errors import UnsuitableImages
from memory.features import Cells, Features, PatchMask, View

PADIM = "padim"
REGULAR = 0.01  # equation 1: added to the diagonal, so that every covariance can be inverted
CHUNK = 128  # places that are inverted at once

Moments = npt.NDArray[np.float64]
Whitening = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Padim:
    """The mean (P, d) and scatter (P, d (d + 1) / 2; the upper triangles) of chosen `channels` (d,) at the places
    `cells` (P,) of a grid, over the taught parts `samples`.

    A place's anomaly is the Mahalanobis distance to its Gaussian (equation 2), the image's score the largest.
    """

    samples: tuple[str, ...]
    channels: npt.NDArray[np.int64]
    cells: Cells
    mean: Moments
    scatter: npt.NDArray[np.float32]
    kind: str = field(default=PADIM, init=False)

    @property
    def size(self) -> int:
        """The number of taught parts."""
        return len(self.samples)

    def warm_up(self) -> None:
        """Invert the covariances."""
        _ = self._whitening

    def score(self, view: View) -> Score:
        """The largest Mahalanobis distance."""
        return self._scored(view.features, self._distances(view.features))

    def score_without(self, view: View, sample: str) -> Score:
        """The score by the moments without this part, which is the one in the view: exact, by Sherman and Morrison's
        formula for the inverse after a change of rank one."""
        if sample not in self.samples or self.size < 2:
            return self.score(view)
        n, places = self.size, self._places(view.features)
        taught = self._chosen(view.reference or view.features) - self.mean[places]  # (n, d), of the part to leave out
        shown = self._chosen(view.features) - self.mean[places] + taught / (n - 1)  # beside the mean without it
        if n == 2:  # one part is left, which varies by nothing
            return self._scored(view.features, np.asarray(np.sqrt((shown**2).sum(axis=1) / REGULAR), dtype=np.float32))
        by_taught, by_shown = (_whitened(self._whitening_without, places, away) for away in (taught, shown))
        weight = n / ((n - 1) * (n - 2))
        along = (by_taught * by_shown).sum(axis=1)
        # What is left of 1 is at least this, for no variance is below REGULAR: rounding must not make it less.
        least = 1 / (1 + weight * (taught**2).sum(axis=1) / REGULAR)
        left = np.maximum(1 - weight * (by_taught**2).sum(axis=1), least)
        squared = (by_shown**2).sum(axis=1) + weight * along**2 / left
        return self._scored(view.features, np.asarray(np.sqrt(squared), dtype=np.float32))

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The score of the masked patches (rows, columns) alone."""
        return self._scored(view.features, self._distances(view.features) * view.features.of_map(mask))

    def arrays(self) -> Arrays:
        """All its data."""
        return {"channels": self.channels, "cells": self.cells, "mean": self.mean, "scatter": self.scatter}

    def with_parts(self, goods: Sequence[GoodPart]) -> Padim:
        """The same after further parts: their moments are merged one by one (Chan, Golub and LeVeque, "Updating
        Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979, equation 2.1). Raises UnsuitableImages.
        """
        mean, scatter = self.mean.copy(), self.scatter.astype(np.float64)
        upper = np.triu_indices(len(self.channels))
        for count, good in enumerate(goods, start=self.size):
            if not np.array_equal(good.view.features.cells, self.cells):
                raise unsuitable(good)
            away = self._chosen(good.view.features) - mean  # (P, d)
            scatter += (away[:, upper[0]] * away[:, upper[1]]) * (count / (count + 1))
            mean += away / (count + 1)
        names = (*self.samples, *(good.sample for good in goods))
        return replace(self, samples=names, mean=mean, scatter=scatter.astype(np.float32))

    def _chosen(self, features: Features) -> Moments:
        return features.patches[:, self.channels].astype(np.float64)

    def _places(self, features: Features) -> Cells:
        return np.asarray(np.searchsorted(self.cells, features.cells), dtype=np.int64)

    def _distances(self, features: Features) -> npt.NDArray[np.float32]:
        places = self._places(features)
        away = _whitened(self._whitening, places, self._chosen(features) - self.mean[places])
        return np.asarray(np.sqrt((away**2).sum(axis=1)), dtype=np.float32)

    def _scored(self, features: Features, distances: npt.NDArray[np.float32]) -> Score:
        worst = int(distances.argmax())
        row, column = divmod(int(features.cells[worst]), features.grid[1])
        evidence = {"at": [row, column], "grid": list(features.grid), "parts": self.size}
        return Score(float(distances[worst]), features.to_map(distances), evidence)

    @cached_property
    def _whitening(self) -> Whitening:
        return self._inverted(max(self.size - 1, 1))

    @cached_property
    def _whitening_without(self) -> Whitening:
        return self._inverted(self.size - 2)

    def _inverted(self, degrees: int) -> Whitening:
        """For each place the inverse (P, d, d) of the covariance's Cholesky factor: it makes the Gaussian round."""
        channels = len(self.channels)
        upper, lower = np.triu_indices(channels), np.tril_indices(channels, -1)
        inverted = np.empty((len(self.cells), channels, channels), dtype=np.float64)
        for start in range(0, len(self.cells), CHUNK):
            part = slice(start, start + CHUNK)
            covariance = np.zeros((len(self.cells[part]), channels, channels))
            covariance[:, upper[0], upper[1]] = self.scatter[part] / degrees
            covariance[:, lower[0], lower[1]] = covariance[:, lower[1], lower[0]]
            diagonal = covariance[:, np.arange(channels), np.arange(channels)]
            # The scatter is stored in float32: where channels vary much, its rounding exceeds REGULAR.
            rounding = np.finfo(np.float32).eps * channels * diagonal.max(axis=1, keepdims=True)
            covariance[:, np.arange(channels), np.arange(channels)] = diagonal + REGULAR + rounding
            inverted[part] = np.linalg.inv(np.linalg.cholesky(covariance))
        return inverted


def _whitened(whitening: Whitening, places: Cells, away: Moments) -> Moments:
    """Vectors (n, d) at places (n,), with their Gaussians made round."""
    own = whitening if len(places) == len(whitening) else whitening[places]  # a copy of all would take longest
    return np.asarray(np.matmul(own, away[:, :, None])[:, :, 0])  # (n, d, d) x (n, d, 1) -> (n, d, 1) -> (n, d)


def unsuitable(good: GoodPart) -> UnsuitableImages:
    """The error for a part whose places differ from those of others."""
    features = good.view.features
    return UnsuitableImages(
        expected="images of at most 4,096 patches, the same places of every part",
        came=f"{len(features)} of {features.whole} patches of {good.sample}",
        do="set memory.detector: patch-bank, or judge more coarsely (scene)",
    )
