"""The distance of every probe patch to its nearest in a bank that changes a little from stage to stage."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.lib.bank import patch_names
from memory.features import Features
from memory.patch_bank.bank import PatchBank

BLOCK = 1024


class Nearest:
    """The distance of every probe patch to its nearest in a bank, searched anew only where the bank has changed.

    All probes' patches at once by matrix products: faiss' search of one probe after the other takes several times as
    long. Each nearest is measured again as the bank does, so the distances are its own.
    """

    def __init__(self, probes: list[Features]) -> None:
        self.patches = np.concatenate([probe.patches for probe in probes]).astype(np.float32)  # (probe · patch, D)
        self.shape = (len(probes), len(probes[0].patches))
        self.ids: dict[str, int] = {}
        self.keys: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.distance = np.full(len(self.patches), np.inf, dtype=np.float32)
        self.nearest = np.full(len(self.patches), -1, dtype=np.int64)

    def to(self, bank: PatchBank) -> npt.NDArray[np.float32]:
        """Distances (probe, patch)."""
        keys = np.array([self.ids.setdefault(name, len(self.ids)) for name in patch_names(bank)])
        new = np.flatnonzero(~np.isin(keys, self.keys))
        gone = np.zeros(len(self.ids) + 1, dtype=bool)
        gone[np.setdiff1d(self.keys, keys)] = True
        gone[-1] = True  # of patches that have no nearest yet
        stale = gone[self.nearest]
        anew, kept = np.flatnonzero(stale), np.flatnonzero(~stale)
        self.distance[anew], rows = _search(self.patches[anew], bank.good.vectors)
        self.nearest[anew] = keys[rows]
        if len(new) and len(kept):
            distance, rows = _search(self.patches[kept], bank.good.vectors[new])
            nearer = distance < self.distance[kept]
            self.distance[kept[nearer]] = distance[nearer]
            self.nearest[kept[nearer]] = keys[new[rows[nearer]]]
        self.keys = keys
        return self.distance.reshape(self.shape).copy()  # (probe · patch,) -> (probe, patch)


def _search(
    patches: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The distance of each patch (n, D) to its nearest vector (m, D), and that one's row (n,)."""
    half = np.einsum("md,md->m", vectors, vectors) / 2
    room = np.empty(BLOCK * BLOCK, dtype=np.float32)  # one for all products: fresh memory costs more than they do
    distance, nearest = np.empty(len(patches), dtype=np.float32), np.empty(len(patches), dtype=np.int64)
    for start in range(0, len(patches), BLOCK):
        block = patches[start : start + BLOCK]
        best, row_of_best = np.full(len(block), -np.inf, dtype=np.float32), np.zeros(len(block), dtype=np.int64)
        for first in range(0, len(vectors), BLOCK):
            part = vectors[first : first + BLOCK]
            near = room[: len(block) * len(part)].reshape(len(block), len(part))
            np.matmul(block, part.T, out=near)  # (n, D) @ (D, m) -> (n, m); largest where the distance is smallest
            near -= half[first : first + BLOCK]
            rows = near.argmax(axis=1)
            value = near[np.arange(len(block)), rows]
            row_of_best = np.where(value > best, rows + first, row_of_best)
            best = np.maximum(best, value)
        apart = block - vectors[row_of_best]
        nearest[start : start + BLOCK] = row_of_best
        distance[start : start + BLOCK] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
    return distance, nearest
