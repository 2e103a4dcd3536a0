"""Coreset selection: exact greedy k-centre, incremental and seeded; and which patches are redundant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memory.distances import Vectors, nearest_squared, squared_distances

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
        chosen += batch
        distance = np.minimum(distance, nearest_squared(candidates, candidates[batch]))
        distance[batch] = 0
    return np.asarray(chosen, dtype=np.int64)


def redundant(vectors: Vectors, usage: npt.NDArray[np.int32], count: int) -> tuple[npt.NDArray[np.int64], float]:
    """Rows of `count` vectors (N, D) that can leave, and the largest squared distance at which one of them is covered.

    Of the closest pairs, the one with the smaller `usage` (N,) leaves first, of equals the later one. The other then
    stays in any case, so every row that leaves has one that stays within that distance, and what is far from
    everything, such as an old regime, is never removed. At most half of the vectors can leave.
    """
    leaving = np.zeros(len(vectors), dtype=bool)
    staying = np.zeros(len(vectors), dtype=bool)
    reach = 0.0
    while (missing := min(count, len(vectors) // 2) - int(leaving.sum())) > 0:
        rows = np.flatnonzero(~leaving)
        apart, other = _nearest_others(vectors[rows])
        for i in np.argsort(apart, kind="stable"):
            one, two = int(rows[i]), int(rows[other[i]])
            free = [row for row in (one, two) if not staying[row] and not leaving[row]]
            if leaving[one] or leaving[two] or not free:
                continue
            out = min(free, key=lambda row: (usage[row], -row))
            leaving[out], staying[one + two - out] = True, True
            reach = max(reach, float(apart[i]))
            missing -= 1
            if missing == 0:
                break
    return np.flatnonzero(leaving), reach


def _nearest_others(vectors: Vectors) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Squared distance (N,) of each vector to the nearest of the others, and the row (N,) of that one."""
    apart, other = np.empty(len(vectors), dtype=np.float32), np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), 1024):
        block = squared_distances(vectors[start : start + 1024], vectors)
        rows = np.arange(len(block))
        block[rows, rows + start] = np.inf
        other[start : start + 1024] = block.argmin(axis=1)
        apart[start : start + 1024] = block[rows, other[start : start + 1024]]
    return apart, other


def _farthest(distance: Vectors, count: int) -> npt.NDArray[np.int64]:
    if len(distance) <= count:
        return np.arange(len(distance), dtype=np.int64)
    return np.argpartition(-distance, count - 1)[:count].astype(np.int64)
