"""Good patches and who gave them: the rows of a bank, joined, cut and searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from memory.distances import Vectors
from memory.errors import DriftlineError
from memory.features import Features, Patches
from memory.patch_bank.index import Index

SCALE_QUANTILE = 0.1
LANDMARKS = 250

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GoodPatches:
    """An immutable set of good patches: `vectors` (N, D) f32; `sample_index` (N,) indexes `samples`, who gave each,
    and `patch_index` (N,) is the patch's number in that sample's grid (-1 where a snapshot of format 1 did not say).

    `usage_count` (N,) counts for how many patches of calibration parts each is the nearest.

    The scale of an image is the distance to the nearest of `landmarks` (M, D), but for those that it gave itself, below
    which its calmest tenth of patches lies, held within the `scale_range` of taught parts. Landmarks and range are
    chosen at teach time and never change by learning, so that scores before and after a lesson stay alike. Without
    landmarks, as in snapshots before format 3, scores are plain distances.

    Raises DriftlineError without a vector, or where the arrays do not fit together.
    """

    vectors: Vectors
    sample_index: npt.NDArray[np.int32]
    samples: tuple[str, ...]
    patch_index: npt.NDArray[np.int32]
    usage_count: npt.NDArray[np.int32]
    landmarks: Vectors
    scale_range: tuple[float, float] = (1.0, 1.0)
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

    def index_of(self, rows: Rows) -> Index:
        """A search among these rows alone, in ascending order."""
        return self.index if len(rows) == len(self) else Index(self.vectors[rows])

    def scale(self, features: Features, reference: Features | None = None) -> float:
        """How far the image lies from the landmarks as a whole, within what taught parts show; 1 without landmarks.

        By `reference`, the features that it was taught by where these are another backend's, its own landmarks are
        known.
        """
        if len(self.landmarks) == 0:
            return 1.0
        smallest, largest = self.scale_range
        return min(max(self.landmark_quantile(features, reference or features), smallest), largest)

    def landmark_quantile(self, features: Features, reference: Features | None) -> float:
        """The distance below which the calmest tenth of patches lies, to landmarks that the image did not give itself,
        as it was taught (`reference`): by its own it would be calmer than any other part. To all landmarks where that
        is None."""
        distance, nearest = self._landmark_index.search_flat(features.patches)
        if reference is None or reference is features:
            reference_distance, landmark = distance, nearest
        else:
            reference_distance, landmark = self._landmark_index.search_flat(reference.patches)
        own = np.unique(landmark[reference_distance == 0])
        if reference is not None and 0 < len(own) < len(self.landmarks):
            distance, _ = Index(np.delete(self.landmarks, own, axis=0)).search_flat(features.patches)
        return float(np.quantile(distance, SCALE_QUANTILE))

    def with_landmarks(self, landmarks: Vectors, taught: Sequence[Features]) -> GoodPatches:
        """The same with these landmarks (M, D), and with the range of scales that the taught parts have by them.

        Unchanged where calm patches are alike to the bit (drawn pictures, masked ground): there is no scale then.
        """
        marked = replace(self, landmarks=landmarks)
        if min(marked.landmark_quantile(features, None) for features in taught) == 0:
            return self
        scales = [marked.landmark_quantile(features, features) for features in taught]
        return replace(marked, scale_range=(min(scales), max(scales)))

    def with_usage(self, usage_count: npt.NDArray[np.int32]) -> GoodPatches:
        """The same, used so often (N,)."""
        return replace(self, usage_count=usage_count)

    def sample_of(self, row: int) -> str:
        """The sample that gave the patch of this row."""
        return self.samples[int(self.sample_index[row])]

    def names(self) -> set[tuple[str, int]]:
        """Every patch by its sample and its number in that sample's grid."""
        return {
            (self.samples[sample], int(patch))
            for sample, patch in zip(self.sample_index, self.patch_index, strict=True)
        }

    def joined(self, other: GoodPatches) -> GoodPatches:
        """The patches of both, its own first, with its own landmarks."""
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
        """Only these rows, in ascending order; samples that gave none of them leave the list."""
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
    """The patches (n, D) of several samples, in the order given; a sample may come twice. `patch_indices` are the
    patches' numbers in their samples' grids; by default every patch is there.
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
