"""The contrast of the images that prove every version: found once, then followed while the bank changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memory.bank import Bank, Score, subset
from memory.features import Features
from memory.search import Vectors

Rows = npt.NDArray[np.int64]
Region = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Found:
    """Of some of one image's patches, `at` (n,) in its grid, the distance (n,) to the nearest in the bank that
    `without` did not give, and its row (n,)."""

    features: Features
    without: str | None
    region: Region | None
    at: Rows
    distance: Vectors
    nearest: Rows
    level: float

    @property
    def score(self) -> Score:
        contrast = np.zeros(len(self.features.patches), dtype=np.float32)
        nearest = np.full(len(contrast), -1, dtype=np.int64)
        contrast[self.at], nearest[self.at] = self.distance / np.float32(self.level), self.nearest
        grid = contrast.reshape(self.features.grid)  # (P,) -> (rows, columns)
        return Score(float(grid.max()), grid, nearest, self.level)


class NeighbourCache:
    """What `Bank.contrast` says of images, remembered.

    A calibration part is scored `without` its own patches, a defect in its `region` alone. `on` another bank that
    shares patches with this one only what can differ is searched: patches whose nearest has left, and what is nearer
    among the new. The result is the same as finding all anew, to the bit, wherever no three good patches are equally
    near within float32 rounding.
    """

    def __init__(self, bank: Bank, found: Iterable[_Found] = ()) -> None:
        self.bank = bank
        self._found = {(id(one.features), one.without, id(one.region)): one for one in found}

    def score(
        self,
        features: Features,
        without: str | None = None,
        region: Region | None = None,
        taught: Features | None = None,
    ) -> Score:
        """The image's contrast by the patches of all samples but one; by all where no other gave any.

        Outside of `region` (rows, columns) it is 0, and the nearest row -1. `taught` are the image's features as it was
        taught, where these are another backend's.
        """
        key = (id(features), without, id(region))
        found = self._found.get(key)
        if found is None:
            everywhere = np.ones(features.grid, dtype=bool) if region is None else region
            at = np.flatnonzero(everywhere)  # (rows, columns) -> (n,) of P
            distance, nearest = _search(self.bank, features, at, _others(self.bank, without))
            found = _Found(features, without, region, at, distance, nearest, self.bank.scale(features, taught))
            self._found[key] = found
        return found.score

    def copy(self) -> NeighbourCache:
        """The same, to which more images can be asked without being remembered here."""
        return NeighbourCache(self.bank, self._found.values())

    def rebased(self, bank: Bank) -> NeighbourCache:
        """The same images' contrasts by another bank."""
        alike = bank.landmarks is self.bank.landmarks and bank.scale_range == self.bank.scale_range
        if not alike or min(len(bank.samples), len(self.bank.samples)) == 1:
            return NeighbourCache(bank)
        if bank.vectors is self.bank.vectors:
            return NeighbourCache(bank, self._found.values())  # one that only remembers another use or memory
        shared = _shared(self.bank, bank)
        if shared is None:
            return NeighbourCache(bank)
        return NeighbourCache(bank, (_followed(one, bank, *shared) for one in self._found.values()))

    def restricted_to(self, images: Iterable[Features]) -> NeighbourCache:
        """The contrasts of these images, the others forgotten."""
        kept = {id(features) for features in images}
        return NeighbourCache(self.bank, (one for one in self._found.values() if id(one.features) in kept))


def _followed(one: _Found, bank: Bank, row: Rows, new: Rows) -> _Found:
    """`row` (N,) is each old row's in `bank`, -1 for what has left; `new` are the rows in `bank` that have none."""
    among = _others(bank, one.without)
    distance, nearest = one.distance.copy(), row[one.nearest]
    left, stayed = np.flatnonzero(nearest < 0), np.flatnonzero(nearest >= 0)
    if len(left):
        distance[left], nearest[left] = _search(bank, one.features, one.at[left], among)
    fresh = np.intersect1d(new, among)
    if len(fresh) and len(stayed):
        apart, found = _search(bank, one.features, one.at[stayed], fresh)
        nearer = apart < distance[stayed]
        distance[stayed[nearer]], nearest[stayed[nearer]] = apart[nearer], found[nearer]
    return replace(one, distance=distance, nearest=nearest)


def _search(bank: Bank, features: Features, patches: Rows, among: Rows) -> tuple[Vectors, Rows]:
    """Distance (n,) and row (n,) of the nearest to these patches of the image among these rows of the bank."""
    searched = bank if len(among) == len(bank) else subset(bank, among)
    asked = Features(features.patches[patches], (1, len(patches)))
    # The nearest two by the search are measured again: which one wins must not depend on how rows were batched.
    distance, nearest = searched.distances(asked, candidates=2)
    return distance, among[nearest]


def _others(bank: Bank, sample: str | None) -> Rows:
    """The rows of all samples but this one; all rows where it gave every patch or none."""
    if sample not in bank.samples or len(bank.samples) == 1:
        return np.arange(len(bank))
    return np.flatnonzero(bank.sample_index != bank.samples.index(sample))


def _shared(before: Bank, bank: Bank) -> tuple[Rows, Rows] | None:
    """Each old patch's row in `bank`, -1 where it has left, and the rows of patches that are new; None where patches
    cannot be told by sample and place, or are not the same under the same name."""
    number = {sample: i for i, sample in enumerate(dict.fromkeys((*before.samples, *bank.samples)))}
    old, now = (
        np.array([number[s] for s in b.samples], dtype=np.int64)[b.sample_index] << 32 | b.patch_index
        for b in (before, bank)
    )
    if min(before.patch_index.min(), bank.patch_index.min()) < 0 or any(
        len(np.unique(a)) != len(a) for a in (old, now)
    ):
        return None
    _, here, there = np.intersect1d(old, now, assume_unique=True, return_indices=True)
    if not np.array_equal(before.vectors[here], bank.vectors[there]):
        return None
    row = np.full(len(before), -1, dtype=np.int64)
    row[here] = there
    return row, np.setdiff1d(np.arange(len(bank)), there, assume_unique=True)
