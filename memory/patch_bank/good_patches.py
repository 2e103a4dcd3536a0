"""Good patches with the samples that they come from: the rows of a bank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from memory.distances import Vectors
from memory.errors import DriftlineError
from memory.features import Features, Patches
from memory.patch_bank.index import Index

SCALE_QUANTILE = 0.1
SCALE_EXPONENT = 0.5
LANDMARKS = 250

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GoodPatches:
    """An immutable set of good patches: `vectors` (N, D) f32; `sample_index` (N,) indexes `samples`, where each comes
    from, and `patch_index` (N,) is its number in that sample's grid (-1 in snapshots of format 1).

    `usage_count` (N,) is the number of patches of calibration parts to which each is the nearest.

    The level of an image is the `SCALE_QUANTILE` of its patches' distances to the nearest of `landmarks` (M, D),
    without those that come from the image itself, kept within the `scale_range` of taught parts. Its scale is the
    weighted geometric mean of its level, by the share `scale_exponent`, and of the middle of that range. All of these
    are chosen at teach time and never change by learning, so that scores before and after a lesson stay comparable.
    Without landmarks, as in snapshots before format 3, scores are plain distances.

    Raises DriftlineError without a vector, or where the arrays do not fit together.
    """

    vectors: Vectors
    sample_index: npt.NDArray[np.int32]
    samples: tuple[str, ...]
    patch_index: npt.NDArray[np.int32]
    usage_count: npt.NDArray[np.int32]
    landmarks: Vectors
    scale_range: tuple[float, float] = (1.0, 1.0)
    scale_exponent: float = 1.0  # as in snapshots before format 6
    index: Index = field(init=False, repr=False)
    _landmark_index: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = [len(array) for array in (self.sample_index, self.patch_index, self.usage_count)]
        if self.vectors.ndim != 2 or len(self.vectors) == 0 or rows != [len(self.vectors)] * 3:
            raise DriftlineError(
                expected="at least one vector (N, D) and as many sample indices, patch indices and usage counts",
                came=f"vectors {self.vectors.shape}, the others {rows}",
                do="teach with at least two good images",
            )
        for array in (self.sample_index, self.patch_index, self.usage_count):
            array.setflags(write=False)
        object.__setattr__(self, "index", Index(self.vectors))
        object.__setattr__(self, "_landmark_index", Index(self.landmarks))

    def __len__(self) -> int:
        return len(self.vectors)

    def number_of(self, sample: str | None) -> int:
        """The number of a sample whose patches are to be left out; -1 where that leaves all of them in, or none."""
        return self.samples.index(sample) if sample in self.samples and len(self.samples) > 1 else -1

    def index_of(self, rows: Rows) -> Index:
        """An index of these rows alone, which are in ascending order."""
        return self.index if len(rows) == len(self) else Index(self.vectors[rows])

    def scale(self, features: Features, reference: Features | None = None) -> float:
        """The image's scale; 1 without landmarks.

        Where `features` are another backend's, `reference` are those that the image was taught by: they tell which
        landmarks are its own. Of a large image only the patches on its lattice count.
        """
        if len(self.landmarks) == 0:
            return 1.0
        smallest, largest = self.scale_range
        level = min(max(self.landmark_quantile(features, reference or features), smallest), largest)
        return float(level**self.scale_exponent * math.sqrt(smallest * largest) ** (1 - self.scale_exponent))

    def scales_as(self, other: GoodPatches) -> bool:
        """Whether every image has the same scale by both: they were taught together."""
        taught = self.scale_range, self.scale_exponent
        return self.landmarks is other.landmarks and taught == (other.scale_range, other.scale_exponent)

    def landmark_quantile(self, features: Features, reference: Features | None) -> float:
        """The `SCALE_QUANTILE` of the patches' distances to the landmarks, without the image's own ones, by which it
        would seem nearer than any other part. Own ones are those at distance 0 from `reference`; None leaves none
        out."""
        patches = features.patches[features.lattice]
        distance, nearest = self._landmark_index.search_flat(patches)
        if reference is None:
            return float(np.quantile(distance, SCALE_QUANTILE))
        if reference is features:
            reference_distance, landmark = distance, nearest
        else:
            reference_distance, landmark = self._landmark_index.search_flat(reference.patches[reference.lattice])
        own = np.unique(landmark[reference_distance == 0])
        if 0 < len(own) < len(self.landmarks):
            distance, _ = Index(np.delete(self.landmarks, own, axis=0)).search_flat(patches)
        return float(np.quantile(distance, SCALE_QUANTILE))

    def with_landmarks(self, landmarks: Vectors, taught: Sequence[Features]) -> GoodPatches:
        """The same patches with these landmarks (M, D), and the range of levels that the taught parts have by them.

        Unchanged where there is no landmark, or a part's level would be 0, its patches alike to the bit (drawn
        pictures, masked ground).
        """
        if not len(landmarks):
            return self
        marked = replace(self, landmarks=landmarks, scale_exponent=SCALE_EXPONENT)
        if min(marked.landmark_quantile(features, None) for features in taught) == 0:
            return self
        levels = [marked.landmark_quantile(features, features) for features in taught]
        return replace(marked, scale_range=(min(levels), max(levels)))

    def with_usage(self, usage_count: npt.NDArray[np.int32]) -> GoodPatches:
        """The same patches with other usage counts (N,)."""
        return replace(self, usage_count=usage_count)

    def sample_of(self, row: int) -> str:
        """The sample that the patch of this row comes from."""
        return self.samples[int(self.sample_index[row])]

    def names(self) -> set[tuple[str, int]]:
        """Every patch by its sample and its number in that sample's grid."""
        return {
            (self.samples[sample], int(patch))
            for sample, patch in zip(self.sample_index, self.patch_index, strict=True)
        }

    def joined(self, other: GoodPatches) -> GoodPatches:
        """The patches of both, these first, with these landmarks."""
        samples = tuple(dict.fromkeys((*self.samples, *other.samples)))
        number = {sample: i for i, sample in enumerate(samples)}
        return replace(
            self,
            vectors=np.concatenate([self.vectors, other.vectors]),
            sample_index=np.array(
                [number[good.samples[i]] for good in (self, other) for i in good.sample_index], dtype=np.int32
            ),
            samples=samples,
            patch_index=np.concatenate([self.patch_index, other.patch_index]),
            usage_count=np.concatenate([self.usage_count, other.usage_count]),
        )

    def subset(self, rows: Rows) -> GoodPatches:
        """Only these rows, in ascending order, with only the samples that they come from."""
        rows = np.sort(rows)
        used, sample_index = np.unique(self.sample_index[rows], return_inverse=True)
        return replace(
            self,
            vectors=self.vectors[rows],  # an index array copies
            sample_index=sample_index.astype(np.int32),
            samples=tuple(self.samples[i] for i in used),
            patch_index=self.patch_index[rows],
            usage_count=self.usage_count[rows],
        )


def gather(parts: Sequence[tuple[str, Patches]], patch_indices: Sequence[Rows] | None = None) -> GoodPatches:
    """The good patches of several samples, (n, D) each, in this order; a sample may come twice. `patch_indices` are the
    numbers of the patches in their samples' grids; by default all of them in order.
    """
    samples = tuple(dict.fromkeys(sample for sample, _ in parts))
    number = {sample: i for i, sample in enumerate(samples)}
    numbers = patch_indices or [np.arange(len(patches)) for _, patches in parts]
    vectors = np.concatenate([patches for _, patches in parts]).astype(np.float32, copy=False)
    return GoodPatches(
        vectors=vectors,
        sample_index=np.concatenate([np.full(len(patches), number[s], dtype=np.int32) for s, patches in parts]),
        samples=samples,
        patch_index=np.concatenate(numbers).astype(np.int32),
        usage_count=np.zeros(len(vectors), dtype=np.int32),
        landmarks=vectors[:0],
    )
