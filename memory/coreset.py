"""Which patches to keep: exact greedy k-centre selection, incremental and seeded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

POOL = 512
CHUNK = 16_384
ROUNDING = 1e-6


def select(
    existing: npt.NDArray[np.float32], candidates: npt.NDArray[np.float32], budget: int, seed: int
) -> npt.NDArray[np.int64]:
    """Indices of at most `budget` candidates that cover the candidates best, in order of choice.

    `existing` (E, D) are centres already held (E may be 0), `candidates` (N, D). Each choice is the candidate
    farthest from all centres so far: the greedy 2-approximation of k-centre (Gonzalez, "Clustering to
    minimize the maximum intercluster distance", 1985, used by PatchCore, algorithm 1). With no existing
    centre the first choice is drawn with `seed`. Selection ends early once every candidate is covered
    exactly. Deterministic; the inputs are not changed.

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


def nearest_squared(points: npt.NDArray[np.float32], centres: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Squared Euclidean distance (N,) of each point (N, D) to its nearest centre (C, D), C ≥ 1."""
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK]
        for first in range(0, len(centres), 1024):
            block = squared_distances(part, centres[first : first + 1024]).min(axis=1)
            nearest[start : start + CHUNK] = np.minimum(nearest[start : start + CHUNK], block)
    return nearest


def _farthest(distance: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    if len(distance) <= count:
        return np.arange(len(distance), dtype=np.int64)
    return np.argpartition(-distance, count - 1)[:count].astype(np.int64)


def squared_distances(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, D), (M, D) -> (N, M) squared Euclidean distances by one matrix product; equal points are exactly 0 apart."""
    lengths = (left * left).sum(1)[:, None] + (right * right).sum(1)[None, :]
    square: npt.NDArray[np.float32] = lengths - 2 * (left @ right.T)
    square[square < ROUNDING * lengths] = 0  # what cancellation leaves of equal points
    return square
