"""Visual words: the kinds of patches that good parts are made of, and the groups of kinds that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from memory.distances import Vectors, squared_distances
from memory.features import Features

WORDS = 64  # as many as in UniSLAD, which counts them by image
LEVELS = (64, 24, 8)  # numbers of kinds: a thing that varies is one kind at one of them, and stands out there
PATCHES_A_WORD = 8  # fewer words of few patches
MOST_PATCHES = 20_000  # that words are made from
ROUNDS = 25
LEAST_CELLS = 2  # of a thing: single cells are where one thing ends and another begins
NOTHING = -1

WordMap = npt.NDArray[np.int16]
Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Words:
    """Visual words (K, D): the centres of the clusters of good patches (Sivic and Zisserman, "Video Google", ICCV
    2003)."""

    centres: Vectors

    def __len__(self) -> int:
        return len(self.centres)

    def read(self, features: Features) -> WordMap:
        """The nearest word at each place (rows, columns), `NOTHING` where there is no patch."""
        nearest = squared_distances(features.patches, self.centres).argmin(axis=1).astype(np.int16)
        return features.to_map(nearest, NOTHING)

    @cached_property
    def groups(self) -> npt.NDArray[np.bool_]:
        """Groups of words (M, K): each word, and what joins in the tree of Ward's method (Ward, "Hierarchical Grouping
        to Optimize an Objective Function", 1963), all words together left out. A thing seen from any side is made of
        several words that lie near one another, so that some group is the thing."""
        members = [{word} for word in range(len(self))]
        for left, right, *_ in self._tree:
            members.append(members[int(left)] | members[int(right)])
        groups = np.zeros((len(members) - 1, len(self)), dtype=bool)
        for row, words in enumerate(members[:-1]):
            groups[row, list(words)] = True
        return groups

    @cached_property
    def kinds(self) -> npt.NDArray[np.int16]:
        """The kind of each word at each of `LEVELS` (L, K + 1), where the tree of words is cut; the last is `NOTHING`,
        which stays what it is."""
        from scipy.cluster.hierarchy import cut_tree

        cut = [cut_tree(self._tree, min(kinds, len(self))).ravel() for kinds in LEVELS]
        return np.array([[*kind, NOTHING] for kind in cut], dtype=np.int16)

    @cached_property
    def _tree(self) -> npt.NDArray[np.float64]:
        from scipy.cluster.hierarchy import linkage  # many modules, of which only this kind of detector has use

        return np.asarray(linkage(self.centres, "ward"))

    def things(self, read: WordMap, group: int) -> npt.NDArray[np.int32]:
        """The number (rows, columns) of the connected thing of a group that each cell belongs to, from 1; 0 where there
        is none. Smaller ones than `LEAST_CELLS` are none."""
        member = np.append(self.groups[group], False)[read]  # the last one is NOTHING's
        _, numbers, stats, _ = cv2.connectedComponentsWithStats(member.astype(np.uint8), connectivity=8)
        large = stats[:, cv2.CC_STAT_AREA] >= LEAST_CELLS
        large[0] = False  # what lies around
        renumbered = np.where(large, np.cumsum(large), 0).astype(np.int32)
        return np.asarray(renumbered[numbers], dtype=np.int32)

    def every_thing(self, read: WordMap) -> npt.NDArray[np.int32]:
        """The things of every group (M, rows, columns)."""
        return np.stack([self.things(read, group) for group in range(len(self.groups))])

    def counts(self, read: WordMap) -> Counts:
        """How many things of each group there are (M,)."""
        return np.asarray(self.every_thing(read).max(axis=(1, 2)))


def learned(features: Sequence[Features], seed: int) -> Words:
    """The words of these parts, by k-means over a draw of their patches; deterministic in its arguments."""
    import faiss

    ends = np.cumsum([len(each) for each in features])
    rows = np.arange(ends[-1])
    if len(rows) > MOST_PATCHES:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), MOST_PATCHES, replace=False))
    by_part = zip(features, np.split(rows, np.searchsorted(rows, ends[:-1])), ends, strict=True)
    every = np.concatenate([each.patches[chosen - (end - len(each))] for each, chosen, end in by_part])
    count = max(min(WORDS, len(every) // PATCHES_A_WORD), 2)
    clusters = faiss.Kmeans(
        every.shape[1], count, niter=ROUNDS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=MOST_PATCHES
    )
    clusters.train(np.ascontiguousarray(every))
    return Words(np.asarray(clusters.centroids, dtype=np.float32))
