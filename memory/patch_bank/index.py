"""Search for nearest vectors, exact or by an inverted file; the only module that uses faiss' indices."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from memory.distances import Vectors

if TYPE_CHECKING:
    import faiss

Neighbours = tuple[Vectors, npt.NDArray[np.int64]]
Owners = npt.NDArray[np.int32]
SPARE = 6  # neighbours more than are wanted
IVF_FROM = 2_000  # smaller sets are searched exactly in the same time
CELLS = 3  # times the root of the number of vectors
PROBED = 2


class Index:
    """An index of `vectors` (N, D) f32, which must not change any more.

    Safe from several threads: faiss allows concurrent searches of one index, and nothing changes here.
    """

    def __init__(self, vectors: Vectors) -> None:
        vectors.setflags(write=False)
        self.vectors = vectors

    def search_flat(self, patches: Vectors, candidates: int = 1) -> Neighbours:
        """The Euclidean distance (P,) of each of `patches` (P, D) to its nearest vector, and that one's row (P,).

        faiss ranks within rounding; of its first `candidates`, the nearest is chosen by exact distances.
        """
        _, ranked = self._flat.search(patches, min(candidates, len(self.vectors)))
        return self._nearest(patches, ranked)

    def search_others(self, patches: Vectors, owners: Owners, own: Owners) -> Neighbours:
        """As `search_flat` with two candidates, for each patch among the vectors that have another of the `owners` (N,)
        than its `own` (P,); there must be one. All are searched, for some more than is wanted, so that patches of many
        owners can be searched at once; where too few of those are others', an index of the others alone is made."""
        _, ranked = self._flat.search(patches, min(2 + SPARE, len(self.vectors)))
        others = owners[ranked] != own[:, None]  # (P, n)
        first = np.argsort(~others, axis=1, kind="stable")[:, :2]
        found = np.take_along_axis(others, first, axis=1).all(axis=1)
        distance, nearest = self._nearest(patches, np.take_along_axis(ranked, first, axis=1))
        for owner in np.unique(own[~found]):
            again, rows = np.flatnonzero(~found & (own == owner)), np.flatnonzero(owners != owner)
            distance[again], among = Index(self.vectors[rows]).search_flat(patches[again], candidates=2)
            nearest[again] = rows[among]
        return distance, nearest

    def search_ivf(self, patches: Vectors) -> Neighbours:
        """As `search_flat`, from the `PROBED` cells nearest to each patch alone: the distance is never too small and
        seldom too large.

        An inverted file (Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011) takes time
        proportional to the root of N, where comparing with every vector takes time proportional to N.
        """
        if len(self.vectors) < IVF_FROM:
            return self.search_flat(patches)
        _, ranked = self._cells.search(patches, 1)
        lost = np.flatnonzero(ranked[:, 0] < 0)  # all cells around it are empty
        if len(lost):
            ranked[lost] = self._flat.search(patches[lost], 1)[1]
        return self._nearest(patches, ranked)

    def warm_up(self) -> None:
        """Prepare what searches, so that the first image does not wait for it."""
        _ = self._flat
        if len(self.vectors) >= IVF_FROM:
            _ = self._cells

    @cached_property
    def _flat(self) -> faiss.IndexFlatL2:
        import faiss  # settings and pages know kinds of detectors, and search nothing

        index = faiss.IndexFlatL2(self.vectors.shape[1])
        index.add(self.vectors)  # a copy, which not everybody needs who gathers patches
        return index

    @cached_property
    def _cells(self) -> faiss.IndexIVFFlat:
        import faiss

        width, cells = self.vectors.shape[1], int(CELLS * len(self.vectors) ** 0.5)
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(width), width, cells)
        index.cp.niter, index.cp.min_points_per_centroid = 10, 1
        index.train(self.vectors)
        index.add(self.vectors)
        index.nprobe = PROBED
        index.parallel_mode = 3  # over patches, after one search for their cells: a fifth sooner on two cores
        return index

    def _nearest(self, patches: Vectors, ranked: npt.NDArray[np.int64]) -> Neighbours:
        """The nearest of the rows `ranked` (P, n), by distances without the cancellation of ‖x‖² + ‖y‖² − 2x·y: a patch
        that is in the index is exactly zero away. Of equally distant rows the lowest is taken."""
        ranked = np.sort(ranked, axis=1)  # (P, candidates)
        distances = np.stack([_apart(patches, self.vectors[column]) for column in ranked.T], axis=1)  # (P, candidates)
        best = distances.argmin(axis=1)[:, None]  # (P,) -> (P, 1)
        nearest = np.take_along_axis(ranked, best, axis=1)[:, 0]  # (P, 1) -> (P,)
        return np.sqrt(np.take_along_axis(distances, best, axis=1)[:, 0]), nearest.astype(np.int64)


def _apart(one: Vectors, other: Vectors) -> Vectors:
    """Squared distances (P,) between the rows of both (P, D)."""
    apart = one - other
    squared: Vectors = np.einsum("pd,pd->p", apart, apart)
    return squared
