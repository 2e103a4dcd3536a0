"""The patches that a coreset is chosen from, in half of the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from memory.detector import GoodPart
from memory.distances import single
from memory.features import Halves
from memory.patch_bank.good_patches import GoodPatches, Rows


@dataclass(frozen=True, eq=False)
class Candidates:
    """The patches of good parts: `vectors` (N, D) f16, which represents features exactly; `sample_index` (N,) indexes
    `samples`, `patch_index` (N,) is each one's number in its part's grid, and `lattice` (N,) says which lie on the
    lattice of a part that was not turned."""

    vectors: Halves
    samples: tuple[str, ...]
    sample_index: npt.NDArray[np.int32]
    patch_index: npt.NDArray[np.int32]
    lattice: npt.NDArray[np.bool_]

    def subset(self, rows: Rows) -> GoodPatches:
        """These rows as good patches, in ascending order, with only the samples that they come from."""
        rows = np.sort(rows)
        vectors = single(self.vectors[rows])
        unused = np.zeros(len(rows), dtype=np.int32)
        chosen = GoodPatches(
            vectors, self.sample_index[rows], self.samples, self.patch_index[rows], unused, landmarks=vectors[:0]
        )
        return chosen.subset(np.arange(len(rows)))


def candidates(goods: Sequence[GoodPart]) -> Candidates:
    """The patches of at least one good part, part after part, then those of their turned images, with numbers beyond
    those of the grid: no two of a part are the same. Parts may be made when they are asked for: none is held."""
    shapes, names, turned = [], [], []
    for good in goods:
        shapes.append(good.view.features.values.shape)
        names.append(good.sample)
        turned += [(good.sample, features, turn) for turn, features in enumerate(good.turned, start=1)]
    count = sum(n for n, _ in shapes) + sum(len(features) for _, features, _ in turned)
    found = Candidates(
        vectors=np.empty((count, shapes[0][1]), dtype=np.float16),
        samples=tuple(dict.fromkeys(names)),
        sample_index=np.empty(count, dtype=np.int32),
        patch_index=np.empty(count, dtype=np.int32),
        lattice=np.zeros(count, dtype=bool),
    )
    number = {sample: i for i, sample in enumerate(found.samples)}
    end = 0
    for sample, features, turn in chain(((good.sample, good.view.features, 0) for good in goods), turned):
        start, end = end, end + len(features)
        found.vectors[start:end] = features.values
        found.sample_index[start:end] = number[sample]
        found.patch_index[start:end] = features.cells + turn * features.grid[0] * features.grid[1]
        if not turn:
            found.lattice[start:end] = features.lattice
    return found
