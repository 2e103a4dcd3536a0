"""Cached nearest good patches of calibration parts and defects, updated rather than searched anew as a bank changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from memory.distances import Vectors, nearest_squared
from memory.features import Features, Map, Patches, PatchMask
from memory.patch_bank.good_patches import GoodPatches, Rows
from memory.patch_bank.index import Index

Key = tuple[str | None, int]
IMAGES_AT_ONCE = 64
LOST = 1e-5  # of both squared lengths: more than a matrix product of float32 loses of a squared distance


@dataclass(frozen=True)
class PatchScores:
    """Normalised distances (n,) of an image's patches to their nearest good patches, and the rows (n,) of these in the
    bank, -1 for patches that were not scored; `scale` is what distances were divided by."""

    features: Features
    distance: Vectors
    nearest: Rows
    scale: float

    @property
    def value(self) -> float:
        """The largest distance."""
        return float(self.distance.max())

    @property
    def map(self) -> Map:
        """The distances as an anomaly map (rows, columns)."""
        return self.features.to_map(self.distance)


@dataclass(frozen=True, eq=False)
class _Neighbours:
    """Distances (n,) of some patches of one image, whose numbers are `indices` (n,), to the nearest good patch that is
    not of the sample `without`, and the rows (n,) of these in the bank. The image itself is not held."""

    without: str | None
    mask: PatchMask | None
    indices: Rows
    distance: Vectors
    nearest: Rows
    scale: float

    def of(self, features: Features) -> PatchScores:
        """Scores of the image with these features."""
        distance = np.zeros(len(features), dtype=np.float32)
        nearest = np.full(len(features), -1, dtype=np.int64)
        distance[self.indices], nearest[self.indices] = self.distance / np.float32(self.scale), self.nearest
        return PatchScores(features, distance, nearest, self.scale)


class NeighbourCache:
    """A cache of images' nearest good patches, which lasts as long as the images' features live.

    A calibration part is scored `without` its own patches, a defect under its `mask` alone. When it is `rebased` on a
    bank that shares patches with the first, only what can differ is searched: patches whose nearest one has left, and
    the new rows. The result is that of a full search, to the bit, wherever no three good patches are equally near
    within float32 rounding.
    """

    def __init__(self, good: GoodPatches, known: Mapping[Features, dict[Key, _Neighbours]] | None = None) -> None:
        self.good = good
        self._known = WeakKeyDictionary(known or {})
        self._changing = threading.Lock()

    def score(
        self,
        features: Features,
        without: str | None = None,
        mask: PatchMask | None = None,
        reference: Features | None = None,
    ) -> PatchScores:
        """Normalised distances to the patches of all samples but `without`; to all where there is no other sample.

        Outside of `mask` (rows, columns) they are 0, and the nearest row -1. `reference` are the features that the
        image was taught by, where `features` are another backend's.
        """
        key = (without, id(mask))
        with self._changing:
            neighbours = self._known.get(features, {}).get(key)
        if neighbours is None:
            indices = np.arange(len(features)) if mask is None else np.flatnonzero(features.of_map(mask))
            distance, nearest = _search(self.good, features.patches[indices], rows_of_others(self.good, without))
            scale = self.good.scale(features, reference)
            neighbours = _Neighbours(without, mask, indices, distance, nearest, scale)
            with self._changing:
                self._known.setdefault(features, {})[key] = neighbours
        return neighbours.of(features)

    def rebased(self, good: GoodPatches) -> NeighbourCache:
        """The cache for other good patches."""
        before = self.good
        if not good.scales_as(before):
            return NeighbourCache(good)
        if min(len(good.samples), len(before.samples)) == 1:
            return NeighbourCache(good)
        with self._changing:
            known = {features: dict(by_key) for features, by_key in self._known.items()}
        if good.vectors is before.vectors:
            return NeighbourCache(good, known)  # only usage counts or defects differ
        shared = _shared(before, good)
        if shared is None:
            return NeighbourCache(good)
        entries = [(features, key, one) for features, by_key in known.items() for key, one in by_key.items()]
        rebased: dict[Features, dict[Key, _Neighbours]] = {}
        images = [(features, one) for features, _, one in entries]
        for (features, key, _), one in zip(entries, _updated(images, good, *shared), strict=True):
            rebased.setdefault(features, {})[key] = one
        return NeighbourCache(good, rebased)


def _updated(
    known: Sequence[tuple[Features, _Neighbours]], good: GoodPatches, row: Rows, new: Rows
) -> list[_Neighbours]:
    """What is known of images, in `good`. `row` (N,) gives each old row's number in it, -1 where it has left; `new` are
    the rows of `good` that are not among the old ones. Patches whose nearest one has left are searched all at once, and
    the new rows by one index wherever no image has taught any of them."""
    every, owners = Index(good.vectors[new]), good.sample_index[new]
    updated, lost = [], []
    for features, one in known:
        own, patches = good.number_of(one.without), features.patches[one.indices]
        distance, nearest = one.distance.copy(), row[one.nearest]
        left, stayed = np.flatnonzero(nearest < 0), np.flatnonzero(nearest >= 0)
        others = new[owners != own]
        if len(others) and len(stayed):
            fresh = every if len(others) == len(new) else good.index_of(others)
            maybe = stayed[_may_be_nearer(patches[stayed], fresh.vectors, distance[stayed])]
            to_fresh, found = fresh.search_flat(patches[maybe], candidates=2)
            nearer = to_fresh < distance[maybe]
            distance[maybe[nearer]], nearest[maybe[nearer]] = to_fresh[nearer], others[found[nearer]]
        updated.append(replace(one, distance=distance, nearest=nearest))
        lost.append((updated[-1], left, patches[left], np.full(len(left), own, dtype=np.int32)))
    for start in range(0, len(lost), IMAGES_AT_ONCE):
        some = lost[start : start + IMAGES_AT_ONCE]
        patches, owns = (np.concatenate([each[i] for each in some]) for i in (2, 3))
        if len(patches):
            distances, rows = good.index.search_others(patches, good.sample_index, owns)
            ends = np.cumsum([len(left) for _, left, *_ in some])[:-1]
            parts = zip(some, np.split(distances, ends), np.split(rows, ends), strict=True)
            for (one, left, *_), distance, nearest in parts:
                one.distance[left], one.nearest[left] = distance, nearest
    return updated


def _may_be_nearer(patches: Patches, vectors: Vectors, distance: Vectors) -> Rows:
    """The patches (n, D) to which one of the vectors may be nearer than their distance (n,): all to which one is, and
    hardly another."""
    squared, lengths = distance**2, np.einsum("nd,nd->n", patches, patches)
    # What is nearer is no longer than a patch and that distance together.
    lost = LOST * (3 * lengths + 2 * squared)
    return np.flatnonzero(nearest_squared(patches, vectors) <= squared + lost)


def _search(good: GoodPatches, patches: Patches, among: Rows) -> tuple[Vectors, Rows]:
    """Distances (n,) of these patches (n, D) to the nearest of the rows `among`, and the rows (n,) of these."""
    # The nearest two by the search are measured again: which one wins must not depend on how rows were batched.
    distance, nearest = good.index_of(among).search_flat(patches, candidates=2)
    return distance, among[nearest]


def rows_of_others(good: GoodPatches, sample: str | None) -> Rows:
    """The rows of all samples but this one; all rows where it has every row or none."""
    return np.flatnonzero(good.sample_index != good.number_of(sample))


def _shared(before: GoodPatches, good: GoodPatches) -> tuple[Rows, Rows] | None:
    """Each old patch's row in `good`, -1 where it has left, and the rows of new patches; None where sample and number
    do not identify patches, or the same name stands for different ones."""
    number = {sample: i for i, sample in enumerate(dict.fromkeys((*before.samples, *good.samples)))}
    old, now = (
        np.array([number[s] for s in b.samples], dtype=np.int64)[b.sample_index] << 32 | b.patch_index
        for b in (before, good)
    )
    unnumbered = min(before.patch_index.min(), good.patch_index.min()) < 0
    if unnumbered or any(len(np.unique(patches)) != len(patches) for patches in (old, now)):
        return None
    _, here, there = np.intersect1d(old, now, assume_unique=True, return_indices=True)
    if not np.array_equal(before.vectors[here], good.vectors[there]):
        return None
    row = np.full(len(before), -1, dtype=np.int64)
    row[here] = there
    return row, np.setdiff1d(np.arange(len(good)), there, assume_unique=True)
