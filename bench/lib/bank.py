"""The product's bank as benchmarks use it: the one place of theirs that knows how it is made, scored and calibrated.

What is taught here is what `driftline teach` makes of the same parts (policies/fitting.py: fit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memory.calibration import CalibrationSet
from memory.defects import Defect, worst_patches
from memory.detector import Capacity, GoodPart, Score
from memory.features import Features, View
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.coreset import select
from memory.patch_bank.good_patches import LANDMARKS, GoodPatches, gather
from memory.patch_bank.learner import PatchBankLearner
from policies import fitting
from policies.threshold import Threshold

BUDGET = 10_000
HELD_OUT = 200
LESSON = 1000


@dataclass(frozen=True)
class Calibrated:
    """A bank as its calibration parts show it, with its threshold."""

    bank: PatchBank
    threshold: Threshold


def bank_of(parts: Sequence[tuple[str, Features]]) -> PatchBank:
    """All patches of parts, each with its name."""
    return _bank(gather([(name, features.patches) for name, features in parts]))


def extended(bank: PatchBank, parts: Sequence[tuple[str, Features]]) -> PatchBank:
    """The bank with all patches of further parts."""
    return _bank(bank.good.joined(bank_of(parts).good))


def of_rows(bank: PatchBank, rows: npt.NDArray[np.int64]) -> PatchBank:
    """The bank of some rows alone."""
    return _bank(bank.good.subset(rows))


def coreset(bank: PatchBank, budget: int, seed: int) -> PatchBank:
    """The coreset of a bank within the budget, chosen from nothing."""
    return of_rows(bank, select(bank.good.vectors[:0], bank.good.vectors, budget, seed))


def taught_bank(parts: Sequence[tuple[str, Features]], budget: int | None, seed: int) -> PatchBank:
    """The bank that `driftline teach` makes of good parts: a coreset of `budget` patches. All patches where it is None,
    with the landmarks of a coreset."""
    if budget is not None:
        goods = [GoodPart(name, View(features)) for name, features in parts]
        return PatchBankLearner().fit(goods, Capacity(budget, LESSON), seed)
    everything = bank_of(parts).good
    rows = select(everything.vectors[:0], everything.vectors, BUDGET, seed)
    return _bank(everything.with_landmarks(everything.vectors[rows[:LANDMARKS]], [features for _, features in parts]))


def calibrated(
    bank: PatchBank, parts: Sequence[tuple[str, Features]], rate: float, defects: Sequence[Defect] = ()
) -> Calibrated:
    """The bank with a memory of `defects`, and the threshold that the calibration parts give it for a rate."""
    fitted = fitting.calibrated(bank, calibration_set(parts), defects, rate)
    assert isinstance(fitted.detector, PatchBank)  # noqa: S101  # a bank stays one
    return Calibrated(fitted.detector, fitted.threshold)


def calibration_set(parts: Sequence[tuple[str, Features]]) -> CalibrationSet:
    """The newest `HELD_OUT` of the parts as a calibration set."""
    newest = parts[-HELD_OUT:]
    return CalibrationSet(tuple(name for name, _ in newest), tuple(features for _, features in newest))


def plain(bank: PatchBank) -> PatchBank:
    """The bank without landmarks: it scores by distance alone, as PatchCore does."""
    return _bank(replace(bank.good, landmarks=bank.good.landmarks[:0]))


def with_scale_of(bank: PatchBank, taught: PatchBank) -> PatchBank:
    """The bank with the landmarks that another was taught, and what it makes of levels by them."""
    own = taught.good
    scaled = replace(bank.good, landmarks=own.landmarks, scale_range=own.scale_range, scale_exponent=own.scale_exponent)
    return _bank(scaled)


def confirmed_defect(name: str, features: Features, bank: PatchBank) -> Defect:
    """A defect that an operator confirmed without a mark: its region is where it is most anomalous."""
    return Defect(name, features, worst_patches(bank.normalised_distance(features).map))


def score_by_distances(bank: PatchBank, features: Features, distances: npt.NDArray[np.float32]) -> Score:
    """As `PatchBank.score`, by distances (P,) that are known."""
    scale = bank.good.scale(features)
    raised = bank.defect_memory.amplify(features.patches, distances / np.float32(scale), scale)
    return Score(float(raised.max()), features.to_map(raised))


def patch_names(bank: PatchBank) -> list[str]:
    """What tells each patch of a bank from all others of any bank."""
    good = bank.good
    return [f"{good.samples[s]}/{p}" for s, p in zip(good.sample_index, good.patch_index, strict=True)]


def patches_from(bank: PatchBank, sample: str) -> npt.NDArray[np.int64]:
    """Which patches of a part are in the bank."""
    good = bank.good
    if sample not in good.samples:
        return np.empty(0, dtype=np.int64)
    return np.asarray(good.patch_index[good.sample_index == good.samples.index(sample)], dtype=np.int64)


def _bank(good: GoodPatches) -> PatchBank:
    return PatchBank.of(good)
