"""The product's bank as benchmarks use it: the one place of theirs that knows how it is made, scored and calibrated.

What is taught here is what `driftline teach` makes of the same parts (daemon/learning/teach.py: draft).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memory.bank import LANDMARKS, Bank, Score, gather, joined, subset, with_landmarks
from memory.contrasts import NeighbourCache
from memory.coreset import select
from memory.defects import ConfirmedDefects, Defect, worst_patches
from memory.features import Features
from memory.version import CalibrationSet
from policies.threshold import Threshold, settle

BUDGET = 10_000
HELD_OUT = 200


@dataclass(frozen=True)
class Calibrated:
    """A bank as its calibration parts show it, with its threshold and what of its search is known already."""

    neighbours: NeighbourCache
    threshold: Threshold

    @property
    def bank(self) -> Bank:
        """The bank."""
        return self.neighbours.bank


def bank_of(parts: Sequence[tuple[str, Features]]) -> Bank:
    """All patches of parts, each with its name."""
    return gather([(name, features.patches) for name, features in parts])


def extended(bank: Bank, parts: Sequence[tuple[str, Features]]) -> Bank:
    """The bank with all patches of further parts."""
    return joined(bank, bank_of(parts))


def of_rows(bank: Bank, rows: npt.NDArray[np.int64]) -> Bank:
    """The bank of some rows alone."""
    return subset(bank, rows)


def coreset(bank: Bank, budget: int, seed: int) -> Bank:
    """The coreset of a bank within the budget, chosen from nothing."""
    return subset(bank, _chosen(bank, budget, seed))


def taught_bank(parts: Sequence[tuple[str, Features]], budget: int | None, seed: int) -> Bank:
    """The bank of good parts, landmarks included: a coreset of `budget` patches, or all patches where it is None."""
    everything = bank_of(parts)
    rows = _chosen(everything, BUDGET if budget is None else budget, seed)
    bank = everything if budget is None else subset(everything, rows)
    return with_landmarks(bank, everything.vectors[rows[:LANDMARKS]], [features for _, features in parts])


def calibrated(
    bank: Bank | NeighbourCache, parts: Sequence[tuple[str, Features]], rate: float, defects: Sequence[Defect] = ()
) -> Calibrated:
    """The bank with a memory of `defects`, and the threshold that the calibration parts give it for a rate."""
    neighbours = bank if isinstance(bank, NeighbourCache) else NeighbourCache(bank)
    return Calibrated(*settle(neighbours, ConfirmedDefects(tuple(defects)), calibration_set(parts), rate))


def calibration_set(parts: Sequence[tuple[str, Features]]) -> CalibrationSet:
    """The newest `HELD_OUT` of the parts as a calibration set."""
    newest = parts[-HELD_OUT:]
    return CalibrationSet(tuple(name for name, _ in newest), tuple(features for _, features in newest))


def plain(bank: Bank) -> Bank:
    """The bank without landmarks: it scores by distance alone, as PatchCore does."""
    return replace(bank, landmarks=bank.landmarks[:0])


def with_scale_of(bank: Bank, taught: Bank) -> Bank:
    """The bank with the landmarks that another was taught."""
    return replace(bank, landmarks=taught.landmarks, scale_range=taught.scale_range)


def confirmed_defect(name: str, features: Features, bank: Bank) -> Defect:
    """A defect that an operator confirmed without a mark: its region is where it is most anomalous."""
    return Defect(name, features, worst_patches(bank.normalised_distance(features).map))


def score_by_distances(bank: Bank, features: Features, distances: npt.NDArray[np.float32]) -> Score:
    """As `Bank.score`, by distances (P,) that are known."""
    scale = bank.scale(features)
    anomaly = (distances / np.float32(scale)).reshape(features.grid)  # (P,) -> (rows, columns)
    without_memory = Score(float(anomaly.max()), anomaly, np.empty(0, dtype=np.int64), scale)
    return bank.amplify(features, without_memory)


def patch_names(bank: Bank) -> list[str]:
    """What tells each patch of a bank from all others of any bank."""
    return [f"{bank.samples[s]}/{p}" for s, p in zip(bank.sample_index, bank.patch_index, strict=True)]


def patches_from(bank: Bank, sample: str) -> npt.NDArray[np.int64]:
    """Which patches of a part are in the bank."""
    if sample not in bank.samples:
        return np.empty(0, dtype=np.int64)
    return np.asarray(bank.patch_index[bank.sample_index == bank.samples.index(sample)], dtype=np.int64)


def _chosen(bank: Bank, budget: int, seed: int) -> npt.NDArray[np.int64]:
    return select(np.empty((0, bank.vectors.shape[1]), dtype=np.float32), bank.vectors, budget, seed)
