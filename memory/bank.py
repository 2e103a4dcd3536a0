"""What normal looks like: an immutable bank of good patches, searched exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

import faiss
import numpy as np
import numpy.typing as npt

from memory.errors import DriftlineError
from memory.features import Features


@dataclass(frozen=True)
class Score:
    """What the bank says of one image.

    `value` is the largest patch distance, `map` (rows, columns) f32 the distance of every patch to its
    nearest good patch, `nearest` (P,) that patch's row in the bank. Distances are Euclidean in feature space
    and compare only within one version.
    """

    value: float
    map: npt.NDArray[np.float32]
    nearest: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bank:
    """An immutable set of good patches: `vectors` (N, D) f32; `origin` (N,) indexes `samples`, who gave each,
    and `place` (N,) is the patch's number in that sample's grid (-1 where a snapshot of format 1 did not say).

    The exact nearest neighbour is searched because an approximate one inflates the maximum that decides.
    faiss allows concurrent searches of one index and never concurrent change: there is no change here.
    """

    vectors: npt.NDArray[np.float32]
    origin: npt.NDArray[np.int32]
    samples: tuple[str, ...]
    place: npt.NDArray[np.int32]
    _index: faiss.IndexFlatL2 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = [len(a) for a in (self.origin, self.place)]
        if self.vectors.ndim != 2 or len(self.vectors) == 0 or rows != [len(self.vectors)] * 2:
            raise DriftlineError(
                expected="at least one vector (N, D) and as many origins and places",
                came=f"vectors {self.vectors.shape}, the others {rows}",
                do="teach with at least two good images",
            )
        for array in (self.vectors, self.origin, self.place):
            array.setflags(write=False)
        index = faiss.IndexFlatL2(self.vectors.shape[1])
        index.add(self.vectors)
        object.__setattr__(self, "_index", index)

    def __len__(self) -> int:
        return len(self.vectors)

    def score(self, features: Features) -> Score:
        """Score one image: PatchCore's maximum patch distance (Roth et al. 2022, equation 6, no reweighting).

        The winner of the search is measured again without the cancellation of ‖x‖² + ‖y‖² − 2x·y, so a
        patch that is in the bank scores exactly zero.
        """
        _, found = self._index.search(features.patches, 1)
        nearest = found[:, 0].astype(np.int64)  # (P, 1) -> (P,)
        apart = features.patches - self.vectors[nearest]
        distance = np.sqrt(np.einsum("pd,pd->p", apart, apart))
        return Score(value=float(distance.max()), map=distance.reshape(features.grid), nearest=nearest)

    def provenance(self, row: int) -> str:
        """The sample that gave the bank's patch `row`."""
        return self.samples[int(self.origin[row])]


def gather(parts: list[tuple[str, npt.NDArray[np.float32]]], places: list[npt.NDArray[np.int64]] | None = None) -> Bank:
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
    )


def joined(one: Bank, other: Bank) -> Bank:
    """The patches of both, `one`'s first."""
    samples = tuple(dict.fromkeys((*one.samples, *other.samples)))
    number = {sample: i for i, sample in enumerate(samples)}
    vectors = np.concatenate([one.vectors, other.vectors])
    return Bank(
        vectors=vectors,
        origin=np.array([number[b.samples[i]] for b in (one, other) for i in b.origin], dtype=np.int32),
        samples=samples,
        place=np.concatenate([one.place, other.place]),
    )


def subset(bank: Bank, rows: npt.NDArray[np.int64]) -> Bank:
    """The bank of only these `rows`; samples that gave none of them leave the list."""
    rows = np.sort(rows)
    used, origin = np.unique(bank.origin[rows], return_inverse=True)
    return Bank(
        vectors=bank.vectors[rows].copy(),
        origin=origin.astype(np.int32),
        samples=tuple(bank.samples[i] for i in used),
        place=bank.place[rows].copy(),
    )


def without(bank: Bank, sample: str) -> Bank:
    """The bank without one sample's patches; itself where it has none, or has none but those."""
    if sample not in bank.samples or len(bank.samples) == 1:
        return bank
    return subset(bank, np.flatnonzero(bank.origin != bank.samples.index(sample)))
