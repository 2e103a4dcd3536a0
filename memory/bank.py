"""What normal looks like: an immutable bank of good patches, searched exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from memory.errors import DriftlineError
from memory.features import Features
from memory.search import Index, Vectors

NEVER = float("inf")
LIKEST = np.float32(10.0)
ALIKE = np.float32(1e6)
SCALE_QUANTILE = 0.1
LANDMARKS = 250
RECHECKED = 16


@dataclass(frozen=True)
class Score:
    """What the bank says of one image.

    `map` (rows, columns) f32 is the distance of every patch to its nearest good patch in units of `level`, which
    tells how far this image lies from what was taught as a whole; `value` is its maximum; `nearest` (P,) is each
    nearest patch's row in the bank. Scores compare only within one version.
    """

    value: float
    map: npt.NDArray[np.float32]
    nearest: npt.NDArray[np.int64]
    scale: float


@dataclass(frozen=True, eq=False)
class DefectMemory:
    """The defect memory: `vectors` (M, D) of confirmed defects that stand out, and when they raise a score.

    The likeness of a patch is its distance to the nearest good patch over that to the nearest of `vectors`. Where the
    patch is `odd` by itself and its likeness exceeds `most`, the largest that any calibration part shows, its score
    rises as many times. So the memory changes no calibration part's score and no threshold, and a defect of a kind
    that was never shown is found as it was without.
    """

    vectors: Vectors
    min_distance: float = NEVER
    max_good_likeness: float = 1.0


@dataclass(frozen=True, eq=False)
class Bank:
    """An immutable set of good patches: `vectors` (N, D) f32; `origin` (N,) indexes `samples`, who gave each,
    and `place` (N,) is the patch's number in that sample's grid (-1 where a snapshot of format 1 did not say).

    `use` (N,) counts for how many patches of calibration parts each is the nearest (`policies.threshold`).

    An image's level is the distance to the nearest of `landmarks` (M, D), but for those that it gave itself, below
    which its calmest tenth of patches lies, held within the `levels` of taught parts. Landmarks and levels are chosen
    at teach time and never change by learning, so that scores before and after a lesson stay alike. Without landmarks,
    as in snapshots before format 3, scores are plain distances.

    The exact nearest neighbour decides, because an approximate one inflates the maximum.
    """

    vectors: Vectors
    sample_index: npt.NDArray[np.int32]
    samples: tuple[str, ...]
    patch_index: npt.NDArray[np.int32]
    usage_count: npt.NDArray[np.int32]
    landmarks: Vectors
    defect_memory: DefectMemory
    scale_range: tuple[float, float] = (1.0, 1.0)
    _index: Index = field(init=False, repr=False)
    _marks: Index = field(init=False, repr=False)
    _defects: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = [len(a) for a in (self.sample_index, self.patch_index, self.usage_count)]
        if self.vectors.ndim != 2 or len(self.vectors) == 0 or rows != [len(self.vectors)] * 3:
            raise DriftlineError(
                expected="at least one vector (N, D) and as many origins, places and uses",
                came=f"vectors {self.vectors.shape}, the others {rows}",
                do="teach with at least two good images",
            )
        for array in (self.sample_index, self.patch_index, self.usage_count):
            array.setflags(write=False)
        searched = {"_index": self.vectors, "_marks": self.landmarks, "_defects": self.defect_memory.vectors}
        for name, vectors in searched.items():
            object.__setattr__(self, name, Index(vectors))

    def __len__(self) -> int:
        return len(self.vectors)

    def warm_up(self) -> None:
        """Make now what scoring needs; the first image would wait for it otherwise."""
        self._index.warm_up()

    def score(self, features: Features) -> Score:
        """Score one image: its contrast, raised where it is like a confirmed defect (`Shown`).

        Patches are searched quickly, which finds none too near, and again exactly from the most anomalous on, until
        the maximum is exact: the value is that of an exact search, and the map elsewhere at most a little too high.
        """
        distance, nearest = self._index.search_ivf(features.patches)
        known, level = np.zeros(len(distance), dtype=bool), self.scale(features)
        while True:
            score = self.amplify(features, _normalised(features, distance, nearest, level))
            worst = np.argsort(-score.map, axis=None, kind="stable")  # of (rows, columns)
            if known[worst[0]]:
                return score
            rows = worst[:RECHECKED][~known[worst[:RECHECKED]]]
            distance[rows], nearest[rows] = self._index.search_flat(features.patches[rows], candidates=2)
            known[rows] = True

    def amplify(self, features: Features, plain: Score) -> Score:
        """This contrast of the image, raised where the image is like a confirmed defect, at most `LIKEST` times."""
        likeness = self.likeness(features, plain, self.defect_memory.min_distance) / np.float32(
            self.defect_memory.max_good_likeness
        )
        raised = plain.map * np.clip(likeness, 1, LIKEST)
        return replace(plain, value=float(raised.max()), map=raised)

    def normalised_distance(self, features: Features) -> Score:
        """The score by good patches alone: PatchCore's largest patch distance (Roth et al. 2022, equation 6, no
        reweighting) over the image's level, so that a part of coarser material or in other light is not odd all over.

        The level is held within those of taught parts: a part that is odd as a whole cannot excuse itself.
        """
        return _normalised(features, *self.distances(features), self.scale(features))

    def likeness(self, features: Features, plain: Score, odd: float) -> Vectors:
        """How alike (rows, columns) to confirmed defects the patches are whose contrast exceeds `odd` ≥ 0, at most
        `ALIKE`; 0 elsewhere."""
        found = np.zeros_like(plain.map)
        rows = np.flatnonzero(plain.map > odd)
        if len(self.defect_memory.vectors) and len(rows):
            apart, _ = self._defects.search_flat(features.patches[rows])
            own = plain.map.reshape(-1)[rows] * np.float32(plain.scale)  # (rows, columns) -> (P,), then those odd
            found.reshape(-1)[rows] = own / np.maximum(apart, own / ALIKE)
        return found

    def distances(self, features: Features, candidates: int = 1) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """The Euclidean distance (P,) of every patch to its nearest in the bank, and that one's row (P,).

        Among so many `candidates` that the search ranks first within rounding, the nearest is chosen exactly.
        """
        return self._index.search_flat(features.patches, candidates)

    def scale(self, features: Features, taught: Features | None = None) -> float:
        """How far the image lies from the landmarks as a whole, within what taught parts show; 1 without landmarks.

        By `taught`, the features that it was taught by where these are another backend's, its own landmarks are known.
        """
        if len(self.landmarks) == 0:
            return 1.0
        return min(max(landmark_quantile(self, features, taught or features), self.scale_range[0]), self.scale_range[1])

    def provenance(self, row: int) -> str:
        """The sample that gave the bank's patch `row`."""
        return self.samples[int(self.sample_index[row])]


def _normalised(features: Features, distance: Vectors, nearest: npt.NDArray[np.int64], level: float) -> Score:
    contrast = (distance / np.float32(level)).reshape(features.grid)  # (P,) -> (rows, columns)
    return Score(value=float(contrast.max()), map=contrast, nearest=nearest, scale=level)


def landmark_quantile(bank: Bank, features: Features, taught: Features | None) -> float:
    """The distance below which the calmest tenth of patches lies, to landmarks that the image did not give itself, as
    it was `taught`: by its own it would be calmer than any other part. To all landmarks where that is None."""
    distance, nearest = bank._marks.search_flat(features.patches)
    known, which = (
        (distance, nearest) if taught is None or taught is features else bank._marks.search_flat(taught.patches)
    )
    given = np.unique(which[known == 0])
    if taught is not None and 0 < len(given) < len(bank.landmarks):
        distance, _ = Index(np.delete(bank.landmarks, given, axis=0)).search_flat(features.patches)
    return float(np.quantile(distance, SCALE_QUANTILE))


def with_landmarks(bank: Bank, landmarks: Vectors, taught: Sequence[Features]) -> Bank:
    """The bank with these landmarks (M, D), and with the levels that the taught parts have by them.

    Unchanged where calm patches are alike to the bit (drawn pictures, masked ground): there is no level then.
    """
    marked = replace(bank, landmarks=landmarks)
    if min(landmark_quantile(marked, features, None) for features in taught) == 0:
        return bank
    levels = [landmark_quantile(marked, features, features) for features in taught]
    return replace(marked, scale_range=(min(levels), max(levels)))


def gather(parts: list[tuple[str, Vectors]], places: list[npt.NDArray[np.int64]] | None = None) -> Bank:
    """A bank of the patches (n, D) of several samples, in the order given; a sample may
    come twice. `places` are the patches' numbers in their samples' grids; by default every patch is given.
    """
    samples = tuple(dict.fromkeys(sample for sample, _ in parts))
    number = {sample: i for i, sample in enumerate(samples)}
    given = places or [np.arange(len(patches)) for _, patches in parts]
    vectors = np.concatenate([patches for _, patches in parts]).astype(np.float32, copy=False)
    return Bank(
        vectors=vectors,
        sample_index=np.concatenate([np.full(len(patches), number[s], dtype=np.int32) for s, patches in parts]),
        samples=samples,
        patch_index=np.concatenate(given).astype(np.int32),
        usage_count=np.zeros(len(vectors), dtype=np.int32),
        landmarks=vectors[:0],
        defect_memory=DefectMemory(vectors[:0]),
    )


def joined(one: Bank, other: Bank) -> Bank:
    """The patches of both, `one`'s first, with `one`'s landmarks and defects."""
    samples = tuple(dict.fromkeys((*one.samples, *other.samples)))
    number = {sample: i for i, sample in enumerate(samples)}
    vectors = np.concatenate([one.vectors, other.vectors])
    return replace(
        one,
        vectors=vectors,
        sample_index=np.array([number[b.samples[i]] for b in (one, other) for i in b.sample_index], dtype=np.int32),
        samples=samples,
        patch_index=np.concatenate([one.patch_index, other.patch_index]),
        usage_count=np.concatenate([one.usage_count, other.usage_count]),
    )


def subset(bank: Bank, rows: npt.NDArray[np.int64]) -> Bank:
    """The bank of only these `rows`; samples that gave none of them leave the list."""
    rows = np.sort(rows)
    used, origin = np.unique(bank.sample_index[rows], return_inverse=True)
    return replace(
        bank,
        vectors=bank.vectors[rows],  # an index array copies
        sample_index=origin.astype(np.int32),
        samples=tuple(bank.samples[i] for i in used),
        patch_index=bank.patch_index[rows],
        usage_count=bank.usage_count[rows],
    )
