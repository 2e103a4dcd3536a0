"""The composition memory: of each taught part, which word lies where; how surprising an image is beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import numpy.typing as npt

from memory.composition.words import LEVELS, NOTHING, Counts, WordMap, Words
from memory.detector import GoodPart
from memory.errors import DriftlineError
from memory.features import Features, Map

HALF = 0.5  # added to every count, so that what was never seen is not impossible (Krichevsky and Trofimov 1981)
REACH = 1  # cells by which a good part may lie elsewhere
AROUND = 3  # cells (a side) over which surprise is averaged: one cell alone is where things end
COUNT_SPREAD = 0.2  # added to the spread of a count: where it never varied, one too few is five spreads away

Presence = npt.NDArray[np.bool_]
Parts = npt.NDArray[np.int64]  # how many parts


class UnsuitableParts(DriftlineError):
    """Parts that composition cannot compare: of too many patches, or not of the same grid."""


@dataclass(frozen=True, eq=False)
class Layout:
    """By how many nats what lies there, or is missing there, surprises (rows, columns), at one level of kinds of words;
    how many of the taught parts have near there what the image `has`, and how many have there what it `lacks`: the
    kinds `own` and `lacked`."""

    nats: Map
    raw: Map  # before they are averaged over neighbours
    has: Parts
    lacks: Parts
    own: WordMap
    lacked: Parts

    @property
    def worst(self) -> tuple[int, int]:
        """The cell (row, column) that surprises most of those whose average does."""
        row, column = divmod(int(self.nats.argmax()), self.nats.shape[1])
        rows, columns = _around(row, column, AROUND // 2)
        within = self.raw[rows, columns]
        down, right = divmod(int(within.argmax()), within.shape[1])
        return rows.start + down, columns.start + right


@dataclass(frozen=True, eq=False)
class Surprise:
    """How an image is composed, beside so many taught `parts`: its `layouts`, one for each level of kinds of words.

    `away` (M,) is by how many spreads the number of things in each group is off, weighted by how regular that number is
    among taught parts; `expected` (M,) and `found` (M,) are those numbers, and `count` (rows, columns) the largest of
    `away` where its things lie, everywhere for things that are too few.
    """

    parts: int
    layouts: tuple[Layout, ...]
    away: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    found: Counts
    count: Map


def counted_alike(one: Surprise, other: Surprise, least: float) -> bool:
    """Whether another image has as many things in every group that is `least` away in one."""
    return bool((other.found == one.found)[one.away > least].all())


def laid_alike(one: Surprise, other: Surprise, level: int) -> bool:
    """Whether another image has what one has, and lacks what it lacks, near where that one's layout surprised most."""
    layout = one.layouts[level]
    row, column = layout.worst
    near = other.layouts[level].own[_around(row, column, REACH)]
    lacks = layout.lacks[row, column] > one.parts / 2 and (near == layout.lacked[row, column]).any()
    return bool((near == layout.own[row, column]).any() and not lacks)


_Cache = WeakKeyDictionary[Features, dict[str, Surprise]]


@dataclass(frozen=True, eq=False)
class CompositionMemory:
    """The word maps (n, rows, columns) of the taught parts `samples`, each with all its things counted.

    What surprises: a word that few parts have near there, a word that many have there and the image lacks, and a number
    of things that few parts have. Where parts vary by themselves, little surprises.
    """

    words: Words
    samples: tuple[str, ...]
    maps: WordMap
    counts: Counts  # (n, M)
    _without: _Cache = field(default_factory=WeakKeyDictionary, init=False, repr=False)  # of parts left out of a score

    def with_parts(self, goods: Sequence[GoodPart]) -> CompositionMemory:
        """The same after further parts. Raises UnsuitableParts."""
        read = [self.words.read(suitable(good, self.maps.shape[1:])) for good in goods]
        return replace(
            self,
            samples=(*self.samples, *(good.sample for good in goods)),
            maps=np.concatenate([self.maps, *(each[None] for each in read)]),
            counts=np.concatenate([self.counts, *(self.words.counts(each)[None] for each in read)]),
        )

    def surprise(self, features: Features, without: str | None = None) -> Surprise:
        """How an image surprises, as if `without` had not been taught; beside all parts where it is the only one."""
        if without is None:
            return self._surprise(features, None)
        known = self._without.setdefault(features, {})
        if without not in known:
            known[without] = self._surprise(features, without)
        return known[without]

    def _surprise(self, features: Features, without: str | None) -> Surprise:
        read = self.words.read(features)
        own = self.samples.index(without) if without in self.samples and len(self.samples) > 1 else None
        layouts = tuple(self._layout(level, read, own) for level in range(len(LEVELS)))
        counts = self.counts if own is None else np.delete(self.counts, own, axis=0)
        things = self.words.every_thing(read)
        found = things.max(axis=(1, 2))
        mean, spread = counts.mean(axis=0), counts.std(axis=0)
        # Things strewn at random vary by as much as there are of them (Poisson): a count that varies less is meant.
        meant = np.maximum(mean - spread**2, 0.0) / (mean + 1)
        away = meant * np.abs(found - mean) / (spread + COUNT_SPREAD)
        lying = (things > 0) | (found < mean)[:, None, None]
        return Surprise(
            parts=len(counts),
            layouts=layouts,
            away=away,
            expected=mean,
            found=found,
            count=np.where(read == NOTHING, 0.0, (lying * away[:, None, None]).max(axis=0)).astype(np.float32),
        )

    def example(self, group: int) -> tuple[str, int]:
        """A taught part that has about as many things of a group as most, and the cell of one of them."""
        usual = np.abs(self.counts[:, group] - np.median(self.counts[:, group])).argmin()
        cells = np.flatnonzero(self.words.things(self.maps[usual], group))
        return self.samples[int(usual)], int(cells[0]) if len(cells) else 0

    def bounded(self, most: int) -> CompositionMemory:
        """The same with its newest parts alone, at most so many."""
        if len(self.samples) <= most:
            return self
        return replace(self, samples=self.samples[-most:], maps=self.maps[-most:], counts=self.counts[-most:])

    def warm_up(self) -> None:
        """Prepare what every score needs."""
        _ = self._near, self._at, self.words.groups

    def _layout(self, level: int, read: WordMap, own: int | None) -> Layout:
        """The layout of an image beside all parts but `own`."""
        kinds = self.words.kinds[level]
        known, near, at = len(self.samples), self._near[level], self._at[level]
        if own is not None:
            known -= 1
            near = near - _present(kinds[self.maps[own]], len(near), REACH)
            at = at - _present(kinds[self.maps[own]], len(at), 0)
        seen = kinds[read]
        has = np.take_along_axis(near, np.maximum(seen, 0)[None].astype(np.int64), axis=0)[0]
        absent = at * ~_present(seen, len(at), REACH)  # of all kinds that are not near
        lacked = absent.argmax(axis=0)
        lacks = np.take_along_axis(absent, lacked[None], axis=0)[0]
        nats = -np.log((has + HALF) / (known + 1)) - np.log((known - lacks + HALF) / (known + 1))
        raw = np.where(read == NOTHING, 0.0, nats).astype(np.float32)
        averaged = cv2.blur(raw, (AROUND, AROUND), borderType=cv2.BORDER_REPLICATE)
        return Layout(np.asarray(averaged, dtype=np.float32), raw, has, lacks, seen, lacked)

    @cached_property
    def _near(self) -> list[Parts]:
        return self._summed(REACH)

    @cached_property
    def _at(self) -> list[Parts]:
        return self._summed(0)

    def _summed(self, reach: int) -> list[Parts]:
        """How many parts have each kind within `reach` of each cell (kinds, rows, columns), for each level."""
        summed = []
        for kinds in self.words.kinds:
            total = np.zeros((int(kinds.max()) + 1, *self.maps.shape[1:]), dtype=np.int64)
            for each in self.maps:
                total += _present(kinds[each], len(total), reach)
            summed.append(total)
        return summed


def _around(row: int, column: int, reach: int) -> tuple[slice, slice]:
    """The cells within `reach` of a cell."""
    return slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)


def _present(seen: WordMap, kinds: int, reach: int) -> Presence:
    """Whether each kind lies within `reach` of each cell (kinds, rows, columns)."""
    present = np.zeros((kinds, *seen.shape), dtype=bool)
    rows, columns = np.nonzero(seen != NOTHING)
    there = seen[rows, columns]
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            row, column = rows + down, columns + right
            inside = (row >= 0) & (row < seen.shape[0]) & (column >= 0) & (column < seen.shape[1])
            present[there[inside], row[inside], column[inside]] = True
    return present


def suitable(good: GoodPart, grid: tuple[int, ...]) -> Features:
    """The features of a part. Raises UnsuitableParts where it has another grid, or only some of its patches."""
    features = good.view.features
    if features.large or features.grid != tuple(grid):
        raise UnsuitableParts(
            expected=f"parts of at most 4,096 patches in a grid of {tuple(grid)}",
            came=f"{features.whole} patches in a grid of {features.grid}, of {good.sample}",
            do="set memory.detector: patch-bank, or judge more coarsely (scene)",
        )
    return features


def remembered(goods: Sequence[GoodPart], words: Words) -> CompositionMemory:
    """The memory of these parts. Raises UnsuitableParts."""
    grid = goods[0].view.features.grid
    empty = CompositionMemory(
        words, (), np.empty((0, *grid), dtype=np.int16), np.empty((0, len(words.groups)), dtype=np.int32)
    )
    return empty.with_parts(goods)
