"""Squared Euclidean distances between sets of vectors, by matrix products."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from memory.features import Halves
from memory.half import widened

BLOCK = 1_024  # their distances fit the processor's own memory: twice as fast
ROUNDING = 1e-6

Vectors = npt.NDArray[np.float32]


def single(vectors: Vectors | Halves) -> Vectors:
    """The vectors in single precision, themselves where they are."""
    if vectors.dtype == np.float32:
        return cast(Vectors, vectors)
    return widened(cast(Halves, vectors))


def squared_distances(left: Vectors, right: Vectors) -> Vectors:
    """(N, D), (M, D) -> (N, M) squared Euclidean distances by one matrix product; equal points are exactly 0 apart."""
    lengths = (left * left).sum(1)[:, None] + (right * right).sum(1)[None, :]
    square: Vectors = left @ right.T
    square *= -2
    square += lengths
    lengths *= ROUNDING
    square[square < lengths] = 0  # what cancellation leaves of equal points
    return square


def nearest_squared(points: Vectors | Halves, centres: Vectors, rows: npt.NDArray[np.int64] | None = None) -> Vectors:
    """Squared Euclidean distance (N,) of each point (N, D) to its nearest centre (C, D), C ≥ 1; of these `rows` alone
    (n,) where they are named. Equal points are exactly 0 apart."""
    turned, lengths = np.ascontiguousarray(-2 * centres.T), (centres * centres).sum(1)  # (D, C), (C,)
    chosen = np.arange(len(points)) if rows is None else rows
    nearest = np.full(len(chosen), np.inf, dtype=np.float32)
    for start in range(0, len(chosen), BLOCK):
        here = slice(start, start + BLOCK)
        part = single(points[here] if rows is None else points[rows[here]])
        for first in range(0, len(centres), BLOCK):
            apart = part @ turned[:, first : first + BLOCK]  # a point's own length is the same for all: added below
            apart += lengths[first : first + BLOCK]
            nearest[here] = np.minimum(nearest[here], apart.min(axis=1))
        own = np.einsum("nd,nd->n", part, part)
        nearest[here] += own
        nearest[here][nearest[here] < 2 * ROUNDING * own] = 0  # what cancellation leaves of equal points
    return nearest
