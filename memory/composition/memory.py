"""The composition memory: of each taught part, which word lies where; how surprising an image is beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

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
    has: Parts
    lacks: Parts
    own: WordMap
    lacked: Parts


@dataclass(frozen=True, eq=False)
class Surprise:
    """How an image is composed, beside so many taught `parts`: its `layouts`, one for each level of kinds of words.

    `count` is by how many spreads the number of things in a group is off, weighted by how regular that number is among
    taught parts, in the `group` where that is most; `expected`
    and `found` are that number, and `things` (rows, columns) where they lie.
    """

    parts: int
    layouts: tuple[Layout, ...]
    count: float
    group: int
    expected: float
    found: int
    things: Presence


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
        read = self.words.read(features)
        own = self.samples.index(without) if without in self.samples and len(self.samples) > 1 else None
        layouts = tuple(self._layout(level, read, own) for level in range(len(LEVELS)))
        counts = self.counts if own is None else np.delete(self.counts, own, axis=0)
        found = self.words.counts(read)
        mean, spread = counts.mean(axis=0), counts.std(axis=0)
        # Things strewn at random vary by as much as there are of them (Poisson): a count that varies less is meant.
        meant = np.maximum(mean - spread**2, 0.0) / (mean + 1)
        away = meant * np.abs(found - mean) / (spread + COUNT_SPREAD)
        group = int(away.argmax())
        return Surprise(
            parts=len(counts),
            layouts=layouts,
            count=float(away[group]),
            group=group,
            expected=float(mean[group]),
            found=int(found[group]),
            things=self.words.things(read, group) > 0,
        )

    def example(self, group: int) -> tuple[str, int]:
        """A taught part that has about as many things of a group as most, and the cell of one of them."""
        usual = np.abs(self.counts[:, group] - np.median(self.counts[:, group])).argmin()
        cells = np.flatnonzero(self.words.things(self.maps[usual], group))
        return self.samples[int(usual)], int(cells[0]) if len(cells) else 0

    def counted_alike(self, one: Surprise, features: Features) -> bool:
        """Whether an image has as many things as another one in the group that surprised there."""
        return int(self.words.counts(self.words.read(features))[one.group]) == one.found

    def laid_alike(self, one: Surprise, level: int, features: Features) -> bool:
        """Whether an image has what another one has, and lacks what it lacks, near where that one surprised most."""
        layout = one.layouts[level]
        row, column = divmod(int(layout.nats.argmax()), layout.nats.shape[1])
        around = (slice(max(row - REACH, 0), row + REACH + 1), slice(max(column - REACH, 0), column + REACH + 1))
        near = self.words.kinds[level][self.words.read(features)[around]]
        lacks = layout.lacks[row, column] > one.parts / 2 and (near == layout.lacked[row, column]).any()
        return bool((near == layout.own[row, column]).any() and not lacks)

    def bounded(self, most: int) -> CompositionMemory:
        """The same with at most so many parts: those leave that surprise least beside the others, for others show what
        they show."""
        leaving = len(self.samples) - most
        if leaving <= 0:
            return self
        every = [
            [self._layout(level, self.maps[number], number).nats.max() for level in range(len(LEVELS))]
            for number in range(len(self.samples))
        ]
        away = np.array(every) - np.mean(every, axis=0)  # (n, L)
        odd = (away / (np.std(every, axis=0) + HALF)).max(axis=1)
        kept = np.sort(np.argsort(odd, kind="stable")[leaving:])
        samples = tuple(self.samples[int(number)] for number in kept)
        return replace(self, samples=samples, maps=self.maps[kept], counts=self.counts[kept])

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
        nats = np.where(read == NOTHING, 0.0, nats).astype(np.float32)
        averaged = cv2.blur(nats, (AROUND, AROUND), borderType=cv2.BORDER_REPLICATE)
        return Layout(np.asarray(averaged, dtype=np.float32), has, lacks, seen, lacked)

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
