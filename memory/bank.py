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
CALM_SHARE = 0.1
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
    level: float


@dataclass(frozen=True, eq=False)
class Shown:
    """The defect memory: `vectors` (M, D) of confirmed defects that stand out, and when they raise a score.

    The likeness of a patch is its distance to the nearest good patch over that to the nearest of `vectors`. Where the
    patch is `odd` by itself and its likeness exceeds `most`, the largest that any calibration part shows, its score
    rises as many times. So the memory changes no calibration part's score and no threshold, and a defect of a kind
    that was never shown is found as it was without.
    """

    vectors: Vectors
    odd: float = NEVER
    most: float = 1.0


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
    origin: npt.NDArray[np.int32]
    samples: tuple[str, ...]
    place: npt.NDArray[np.int32]
    use: npt.NDArray[np.int32]
    landmarks: Vectors
    shown: Shown
    levels: tuple[float, float] = (1.0, 1.0)
    _index: Index = field(init=False, repr=False)
    _marks: Index = field(init=False, repr=False)
    _defects: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = [len(a) for a in (self.origin, self.place, self.use)]
        if self.vectors.ndim != 2 or len(self.vectors) == 0 or rows != [len(self.vectors)] * 3:
            raise DriftlineError(
                expected="at least one vector (N, D) and as many origins, places and uses",
                came=f"vectors {self.vectors.shape}, the others {rows}",
                do="teach with at least two good images",
            )
        for array in (self.origin, self.place, self.use):
            array.setflags(write=False)
        searched = {"_index": self.vectors, "_marks": self.landmarks, "_defects": self.shown.vectors}
        for name, vectors in searched.items():
            object.__setattr__(self, name, Index(vectors))

    def __len__(self) -> int:
        return len(self.vectors)

    def ready(self) -> None:
        """Make now what scoring needs; the first image would wait for it otherwise."""
        self._index.ready()

    def score(self, features: Features) -> Score:
        """Score one image: its contrast, raised where it is like a confirmed defect (`Shown`).

        Patches are searched quickly, which finds none too near, and again exactly from the most anomalous on, until
        the maximum is exact: the value is that of an exact search, and the map elsewhere at most a little too high.
        """
        distance, nearest = self._index.quick(features.patches)
        known, level = np.zeros(len(distance), dtype=bool), self.level(features)
        while True:
            score = self.raised(features, _contrast(features, distance, nearest, level))
            worst = np.argsort(-score.map, axis=None, kind="stable")  # of (rows, columns)
            if known[worst[0]]:
                return score
            rows = worst[:RECHECKED][~known[worst[:RECHECKED]]]
            distance[rows], nearest[rows] = self._index.exact(features.patches[rows], candidates=2)
            known[rows] = True

    def raised(self, features: Features, plain: Score) -> Score:
        """This contrast of the image, raised where the image is like a confirmed defect, at most `LIKEST` times."""
        likeness = self.likeness(features, plain, self.shown.odd) / np.float32(self.shown.most)
        raised = plain.map * np.clip(likeness, 1, LIKEST)
        return replace(plain, value=float(raised.max()), map=raised)

    def contrast(self, features: Features) -> Score:
        """The score by good patches alone: PatchCore's largest patch distance (Roth et al. 2022, equation 6, no
        reweighting) over the image's level, so that a part of coarser material or in other light is not odd all over.

        The level is held within those of taught parts: a part that is odd as a whole cannot excuse itself.
        """
        return _contrast(features, *self.distances(features), self.level(features))

    def likeness(self, features: Features, plain: Score, odd: float) -> Vectors:
        """How alike (rows, columns) to confirmed defects the patches are whose contrast exceeds `odd` ≥ 0, at most
        `ALIKE`; 0 elsewhere."""
        found = np.zeros_like(plain.map)
        rows = np.flatnonzero(plain.map > odd)
        if len(self.shown.vectors) and len(rows):
            apart, _ = self._defects.exact(features.patches[rows])
            own = plain.map.reshape(-1)[rows] * np.float32(plain.level)  # (rows, columns) -> (P,), then those odd
            found.reshape(-1)[rows] = own / np.maximum(apart, own / ALIKE)
        return found

    def distances(self, features: Features, candidates: int = 1) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """The Euclidean distance (P,) of every patch to its nearest in the bank, and that one's row (P,).

        Among so many `candidates` that the search ranks first within rounding, the nearest is chosen exactly.
        """
        return self._index.exact(features.patches, candidates)

    def level(self, features: Features, taught: Features | None = None) -> float:
        """How far the image lies from the landmarks as a whole, within what taught parts show; 1 without landmarks.

        By `taught`, the features that it was taught by where these are another backend's, its own landmarks are known.
        """
        if len(self.landmarks) == 0:
            return 1.0
        return min(max(_calm(self, features, taught or features), self.levels[0]), self.levels[1])

    def provenance(self, row: int) -> str:
        """The sample that gave the bank's patch `row`."""
        return self.samples[int(self.origin[row])]


def _contrast(features: Features, distance: Vectors, nearest: npt.NDArray[np.int64], level: float) -> Score:
    contrast = (distance / np.float32(level)).reshape(features.grid)  # (P,) -> (rows, columns)
    return Score(value=float(contrast.max()), map=contrast, nearest=nearest, level=level)


def _calm(bank: Bank, features: Features, taught: Features | None) -> float:
    """The distance below which the calmest tenth of patches lies, to landmarks that the image did not give itself, as
    it was `taught`: by its own it would be calmer than any other part. To all landmarks where that is None."""
    distance, nearest = bank._marks.exact(features.patches)
    known, which = (distance, nearest) if taught is None or taught is features else bank._marks.exact(taught.patches)
    given = np.unique(which[known == 0])
    if taught is not None and 0 < len(given) < len(bank.landmarks):
        distance, _ = Index(np.delete(bank.landmarks, given, axis=0)).exact(features.patches)
    return float(np.quantile(distance, CALM_SHARE))


def levelled(bank: Bank, landmarks: Vectors, taught: Sequence[Features]) -> Bank:
    """The bank with these landmarks (M, D), and with the levels that the taught parts have by them.

    Unchanged where calm patches are alike to the bit (drawn pictures, masked ground): there is no level then.
    """
    marked = replace(bank, landmarks=landmarks)
    if min(_calm(marked, features, None) for features in taught) == 0:
        return bank
    levels = [_calm(marked, features, features) for features in taught]
    return replace(marked, levels=(min(levels), max(levels)))


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
        origin=np.concatenate([np.full(len(patches), number[s], dtype=np.int32) for s, patches in parts]),
        samples=samples,
        place=np.concatenate(given).astype(np.int32),
        use=np.zeros(len(vectors), dtype=np.int32),
        landmarks=vectors[:0],
        shown=Shown(vectors[:0]),
    )


def joined(one: Bank, other: Bank) -> Bank:
    """The patches of both, `one`'s first, with `one`'s landmarks and defects."""
    samples = tuple(dict.fromkeys((*one.samples, *other.samples)))
    number = {sample: i for i, sample in enumerate(samples)}
    vectors = np.concatenate([one.vectors, other.vectors])
    return replace(
        one,
        vectors=vectors,
        origin=np.array([number[b.samples[i]] for b in (one, other) for i in b.origin], dtype=np.int32),
        samples=samples,
        place=np.concatenate([one.place, other.place]),
        use=np.concatenate([one.use, other.use]),
    )


def subset(bank: Bank, rows: npt.NDArray[np.int64]) -> Bank:
    """The bank of only these `rows`; samples that gave none of them leave the list."""
    rows = np.sort(rows)
    used, origin = np.unique(bank.origin[rows], return_inverse=True)
    return replace(
        bank,
        vectors=bank.vectors[rows],  # an index array copies
        origin=origin.astype(np.int32),
        samples=tuple(bank.samples[i] for i in used),
        place=bank.place[rows],
        use=bank.use[rows],
    )
