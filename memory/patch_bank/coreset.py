"""Coreset selection: exact greedy k-centre, incremental and seeded; and which patches are redundant."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from memory.distances import BLOCK, Vectors, nearest_squared, single, squared_distances
from memory.features import Halves
from memory.progress import steps

POOL, POOL_SHARE, MOST_POOL = 512, 200, 2_048  # at least, one of so many that may still be chosen, and at most
ASIDE = 0.9  # of the squared radius at the end


def select(existing: Vectors, candidates: Vectors | Halves, budget: int, seed: int) -> npt.NDArray[np.int64]:
    """Indices of at most `budget` candidates that cover the candidates best, in order of choice.

    `existing` (E, D) are centres chosen before (E may be 0), `candidates` (N, D). Each choice is the candidate farthest
    from all centres so far: the greedy 2-approximation of k-centre (Gonzalez, "Clustering to minimize the maximum
    intercluster distance", 1985, used by PatchCore, algorithm 1). With no existing centre the first choice is drawn
    with `seed`. Selection ends early once every candidate is covered exactly. Deterministic; the inputs are not
    changed.

    Lazy batches keep it exact: only among a pool of the farthest candidates are distances updated after each
    choice, for as long as their largest is no smaller than the largest outside the pool, which can only
    have shrunk; then all new centres are applied to whatever may still be chosen (`_Cover`).
    """
    if budget <= 0 or len(candidates) == 0:
        return np.empty(0, dtype=np.int64)
    cover = _Cover(existing, candidates, budget)
    if not len(existing):
        cover.add([int(np.random.default_rng(seed).integers(len(candidates)))])
    told = iter(steps(range(budget), "patches of the bank"))
    while (left := budget - len(cover.chosen)) > 0:
        pool, squared, outside = cover.farthest()
        if not (picks := _picked(single(candidates[pool]), squared, outside, left)):
            break
        batch = pool[picks].tolist()
        for _ in zip(batch, told, strict=False):  # in this order none is told too many
            pass
        cover.add(batch)
    return np.asarray(cover.chosen, dtype=np.int64)


def _picked(pool: Vectors, squared: Vectors, outside: float, most: int) -> list[int]:
    """The rows to choose next from a pool (M, D), whose squared distances to the nearest centre are `squared` (M,): one
    at least if it is not covered exactly, and more for as long as none of those `outside` may be farther."""
    between, picks = squared_distances(pool, pool), list[int]()  # (M, M)
    while len(pool) and len(picks) < most:
        pick = int(squared.argmax())
        if squared[pick] <= 0 or (picks and squared[pick] < outside):
            break
        picks.append(pick)
        squared = np.minimum(squared, between[pick])
        squared[pick] = 0
    return picks


class _Cover:
    """How well the `chosen` centres cover the candidates (N, D), exact wherever the next choice may fall.

    The squared radius of a cover shrinks with the number of centres nearly by a power law. Candidates that are nearer
    to a centre than the law promises for the end will not be chosen: they are set aside with the distance that they
    have. Where it has promised too much, the farthest of them are brought back, and measured by what they have missed.
    """

    def __init__(self, existing: Vectors, candidates: Vectors | Halves, budget: int) -> None:
        self.chosen: list[int] = []
        self._candidates, self._before, self._at_the_end = candidates, len(existing), len(existing) + budget
        self._squared = np.full(len(candidates), np.inf, dtype=np.float32)  # of those aside an upper bound
        self._ahead = np.arange(len(candidates))
        self._known_of = np.zeros(len(candidates), dtype=np.int64)  # so many of the chosen, to those aside
        self._aside_top, self._most = 0.0, math.inf  # the farthest that is aside, and that may be
        self._tops: dict[int, float] = {}  # the squared radius by the number of centres
        if len(existing):
            self._squared = nearest_squared(candidates, existing)

    def farthest(self) -> tuple[npt.NDArray[np.int64], Vectors, float]:
        """A pool of the farthest candidates (M,), sorted so that ties fall to the lowest index, their squared distances
        (M,), and an upper bound of those of all others."""
        while 0 < self._aside_top >= self._squared[self._ahead].max(initial=0.0):
            self._bring_back()
        squared = self._squared[self._ahead]
        self._tops[self._before + len(self.chosen)] = float(squared.max(initial=0.0))
        first = np.sort(_farthest(squared, max(POOL, min(MOST_POOL, len(squared) // POOL_SHARE))))
        return self._ahead[first], squared[first], max(np.delete(squared, first).max(initial=0.0), self._aside_top)

    def add(self, batch: list[int]) -> None:
        """Choose a batch of candidates."""
        self.chosen += batch
        self._measure(self._ahead, batch)
        self._squared[batch] = 0
        squared = self._squared[self._ahead]
        near = squared <= min(ASIDE * self._promised(), self._most)
        self._known_of[self._ahead[near]] = len(self.chosen)
        self._aside_top = max(self._aside_top, float(squared[near].max(initial=0.0)))
        self._ahead = self._ahead[~near]

    def _bring_back(self) -> None:
        self._most = ASIDE * self._aside_top
        aside = np.ones(len(self._squared), dtype=bool)
        aside[self._ahead] = False
        back = np.flatnonzero(aside & (self._squared > self._most))
        if not len(back):  # so near to 0 that a share of it is rounded to the whole
            back = np.flatnonzero(aside & (self._squared > 0))
        for known in np.unique(self._known_of[back]):
            self._measure(back[self._known_of[back] == known], self.chosen[known:])
        aside[back] = False
        self._ahead, self._aside_top = np.flatnonzero(~aside), float(self._squared[aside].max(initial=0.0))

    def _measure(self, rows: npt.NDArray[np.int64], centres: list[int]) -> None:
        if centres:
            to_centres = nearest_squared(self._candidates, single(self._candidates[centres]), rows)
            self._squared[rows] = np.minimum(self._squared[rows], to_centres)

    def _promised(self) -> float:
        """The squared radius at the end, by what it is now and was with half as many centres; 0 as long as there are
        too few."""
        now = max(self._tops, default=0)
        half = max((count for count in self._tops if 0 < count <= now / 2), default=0)
        if not half or not self._tops[now]:
            return 0.0
        power = math.log(self._tops[half] / self._tops[now]) / math.log(now / half)
        return self._tops[now] * math.pow(now / self._at_the_end, power)


def redundant(
    vectors: Vectors, sample_index: npt.NDArray[np.int32], usage: npt.NDArray[np.int32], count: int
) -> tuple[npt.NDArray[np.int64], float]:
    """Rows of at most `count` vectors (N, D) that can leave, and the largest squared distance at which one is covered.

    A row is covered by another one of its sample, or by one each of two other samples: then it is covered whichever
    other sample is left out, and no leave-one-out score rises by more than that distance. By one row alone it is
    covered only where there are no such ones. Rows leave by how close they are covered; of equally close ones the less
    used (`usage`, (N,)), then the later. What covers a row that left stays. So what is far from everything, such as an
    old regime, is never removed.

    At least one leaves where there are two or more, but seldom more than half.
    """
    leaving = np.zeros(len(vectors), dtype=bool)
    staying = np.zeros(len(vectors), dtype=bool)
    reach, before = 0.0, -1
    while before < (left := int(leaving.sum())) < min(count, len(vectors) - 1):
        before = left
        rows = np.flatnonzero(~leaving)
        apart, by = _covering(vectors[rows], sample_index[rows])
        as_close = np.sqrt(apart).astype(np.float16)  # so that rounding decides no pair
        for i in np.lexsort((-rows, usage[rows], as_close)):
            if left == count:
                break
            row, covering = rows[i], rows[by[i]]
            if staying[row] or leaving[covering].any():
                continue
            leaving[row], staying[covering] = True, True
            reach = max(reach, float(apart[i]))
            left += 1
    return np.flatnonzero(leaving), reach


def _covering(vectors: Vectors, sample_index: npt.NDArray[np.int32]) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Within which squared distance (N,) each vector is covered, and the rows (N, 2) of what covers it: twice the same
    where that is one of its own sample, or the only other one."""
    apart, by = np.empty(len(vectors), dtype=np.float32), np.empty((len(vectors), 2), dtype=np.int64)
    for start in range(0, len(vectors), BLOCK):
        distance = squared_distances(vectors[start : start + BLOCK], vectors)
        rows = np.arange(len(distance))
        distance[rows, rows + start] = np.inf
        own = sample_index[start : start + BLOCK, None] == sample_index
        within = np.where(own, distance, np.inf)
        mate = within.argmin(axis=1)
        distance[own] = np.inf
        first = distance.argmin(axis=1)
        to_mate, to_first = within[rows, mate], distance[rows, first]
        distance[sample_index[first][:, None] == sample_index] = np.inf
        second = distance.argmin(axis=1)
        to_second = distance[rows, second]
        one_alone = np.isinf(to_mate) & np.isinf(to_second)
        here = slice(start, start + BLOCK)
        apart[here] = np.where(one_alone, to_first, np.minimum(to_mate, to_second))
        by_mate = (to_mate <= to_second) & ~one_alone
        by[here, 0] = np.where(by_mate, mate, first)
        by[here, 1] = np.where(by_mate, mate, np.where(one_alone, first, second))
    return apart, by


def _farthest(distance: Vectors, count: int) -> npt.NDArray[np.int64]:
    if len(distance) <= count:
        return np.arange(len(distance), dtype=np.int64)
    return np.argpartition(-distance, count - 1)[:count].astype(np.int64)
