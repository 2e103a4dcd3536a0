"""Coreset selection: exact greedy k-centre, incremental and seeded; and which patches are redundant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memory.distances import BLOCK, Vectors, nearest_squared, squared_distances
from memory.progress import steps

POOL = 512


def select(existing: Vectors, candidates: Vectors, budget: int, seed: int) -> npt.NDArray[np.int64]:
    """Indices of at most `budget` candidates that cover the candidates best, in order of choice.

    `existing` (E, D) are centres chosen before (E may be 0), `candidates` (N, D). Each choice is the candidate farthest
    from all centres so far: the greedy 2-approximation of k-centre (Gonzalez, "Clustering to minimize the maximum
    intercluster distance", 1985, used by PatchCore, algorithm 1). With no existing centre the first choice is drawn
    with `seed`. Selection ends early once every candidate is covered exactly. Deterministic; the inputs are not
    changed.

    Lazy batches keep it exact: only among the `POOL` farthest candidates are distances updated after each
    choice, for as long as their largest is no smaller than the largest outside the pool, which can only
    have shrunk; then all new centres are applied to everything with one matrix product.
    """
    if budget <= 0 or len(candidates) == 0:
        return np.empty(0, dtype=np.int64)
    chosen: list[int] = []
    if len(existing):
        distance = nearest_squared(candidates, existing)  # (N,)
    else:
        chosen.append(int(np.random.default_rng(seed).integers(len(candidates))))
        distance = nearest_squared(candidates, candidates[chosen])
    told = iter(steps(range(budget), "patches of the bank"))
    while len(chosen) < budget:
        pool = np.sort(_farthest(distance, POOL))  # (M,), sorted so that ties fall to the lowest index
        outside = np.delete(distance, pool).max(initial=0.0)
        local = distance[pool].copy()
        between = squared_distances(candidates[pool], candidates[pool])  # (M, M)
        batch: list[int] = []
        while len(chosen) + len(batch) < budget:
            pick = int(local.argmax())
            if local[pick] <= 0 or (batch and local[pick] < outside):
                break
            batch.append(int(pool[pick]))
            local = np.minimum(local, between[pick])
            local[pick] = 0
        if not batch:
            break
        chosen += (pick for pick, _ in zip(batch, told, strict=False))  # in this order none is taken too many
        distance = np.minimum(distance, nearest_squared(candidates, candidates[batch]))
        distance[batch] = 0
    return np.asarray(chosen, dtype=np.int64)


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
