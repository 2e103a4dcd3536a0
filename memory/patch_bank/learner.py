"""The learner of patch banks: teaches, extends within a budget, removes patches that hid a defect, and loads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import PATCH_BANK, Arrays, Bounds, Capacity, Detector, Extension, GoodPart, Repair
from memory.distances import single, squared_distances
from memory.on_demand import OnDemand
from memory.patch_bank.bank import PatchBank, as_bank, load
from memory.patch_bank.candidates import candidates
from memory.patch_bank.coreset import redundant, select
from memory.patch_bank.defect_memory import DefectMemory
from memory.patch_bank.good_patches import LANDMARKS, GoodPatches, gather
from memory.patch_bank.neighbours import PatchScores
from memory.patch_bank.screening import Admitted, most_anomalous_patches, screen

STANDING_OUT_SHARE = 0.1
ANOMALOUS_SHARE = 0.5
MOST_REMOVED_SHARE = 0.02
REPAIR_REACH = 1.05


class PatchBankLearner:
    """The learner of patch banks: keeps the good patches that cover all best (greedy k-centre)."""

    kind = PATCH_BANK
    split_calibration = False

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> PatchBank:
        """A bank of the parts' patches: a coreset, whose first choices are the landmarks; of large images the first on
        their lattices, since own landmarks must be known for own in a thinned image too, and of no turned one, which is
        nearer to its own part than any other is."""
        every = candidates(goods)
        rows = select(np.empty((0, every.vectors.shape[1]), np.float32), every.vectors, capacity.size, seed)
        landmarks = single(every.vectors[rows[every.lattice[rows]][:LANDMARKS]])
        features = OnDemand(range(len(goods)), lambda i: goods[i].view.features)
        return PatchBank.of(every.subset(rows).with_landmarks(landmarks, features))

    def finish(
        self,
        detector: Detector,
        calibration_set: CalibrationSet,
        defects: Sequence[Defect],
        exceeded_by: Callable[[float], float],
    ) -> PatchBank:
        """The bank with usage counts by calibration parts, and with the defect memory."""
        bank = as_bank(detector)
        scores = [
            bank.neighbours.score(features, without=sample)
            for sample, features in zip(calibration_set.samples, calibration_set.features, strict=True)
        ]
        used = bank.good.with_usage(patch_usage(bank.good, scores))
        memory = fit_defect_memory(bank, scores, defects, exceeded_by)
        return PatchBank(bank.neighbours.rebased(used), memory)

    def extend(
        self,
        base: Detector,
        goods: Sequence[GoodPart],
        defects: Sequence[Defect],
        bounds: Bounds,
        waiting: Collection[str],
        capacity: Capacity,
        seed: int,
    ) -> Extension:
        """The bank with the patches that screening admits, within its budget."""
        bank = as_bank(base)
        screening = screen(bank, defects, goods, bounds, waiting)
        good = extended(bank.good, screening.admitted, capacity, seed)
        return Extension(bank.with_good(good), good is not bank.good, screening.waiting, screening.refused)

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:
        """For each patch of the defect, the bank without the good patches within `REPAIR_REACH` thresholds of it: one
        patch that stands out is enough. First the patch whose hiding patches calibration parts use least, then the one
        with the fewest.

        No repair removes more than `MOST_REMOVED_SHARE` of the bank.
        """
        bank = as_bank(detector)
        good = bank.good
        reach = REPAIR_REACH * threshold * bank.masked(defect.features, defect.mask).scale
        hiding = squared_distances(defect.patches, good.vectors) <= reach**2  # (n, N)
        for patch in np.lexsort((hiding.sum(axis=1), hiding @ good.usage_count)):
            rows = np.flatnonzero(hiding[patch])
            if len(rows) <= MOST_REMOVED_SHARE * len(good):
                removed = tuple((good.sample_of(int(row)), int(good.patch_index[row])) for row in rows)
                yield Repair(bank.with_good(good.subset(np.flatnonzero(~hiding[patch]))), removed)

    def blame(self, base: Detector, extended: Detector, missed: Sequence[Defect], threshold: float) -> frozenset[str]:
        """The samples of the added patches that are nearest to the defect patches which `base` would flag."""
        before, after = as_bank(base), as_bank(extended)
        new = after.good.names() - before.good.names()
        guilty: set[str] = set()
        for defect in missed:
            flagged = before.masked(defect.features, defect.mask).distance > threshold
            rows = after.masked(defect.features, defect.mask).nearest[flagged]
            if len(rows):
                guilty |= {sample for sample, _ in after.good.subset(np.unique(rows)).names() & new}
        return frozenset(guilty)

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:
        """The samples of the added patches."""
        return frozenset(sample for sample, _ in as_bank(extended).good.names() - as_bank(base).good.names())

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> PatchBank:
        """The bank that was stored, also by formats 1 to 5."""
        return load(arrays, samples)


def patch_usage(good: GoodPatches, scores: Sequence[PatchScores]) -> npt.NDArray[np.int32]:
    """The usage counts (N,) of good patches: to how many patches of calibration parts, by `scores`, each is the
    nearest."""
    nearest = np.concatenate([score.nearest for score in scores])
    return np.bincount(nearest, minlength=len(good)).astype(np.int32)


def fit_defect_memory(
    bank: PatchBank, scores: Sequence[PatchScores], defects: Sequence[Defect], exceeded_by: Callable[[float], float]
) -> DefectMemory:
    """The defect memory of these defects' most anomalous patches, which raises none of the calibration `scores`."""
    bound = exceeded_by(STANDING_OUT_SHARE)
    remembered = [bank.good.vectors[:0], *(most_anomalous_patches(bank, defect, bound) for defect in defects)]
    memory = DefectMemory(np.concatenate(remembered), exceeded_by(ANOMALOUS_SHARE))
    likeness = (float(memory.likeness(score.features.patches, score.distance, score.scale).max()) for score in scores)
    return replace(memory, max_good_likeness=max(1.0, *likeness))


def extended(good: GoodPatches, admitted: list[Admitted], capacity: Capacity, seed: int) -> GoodPatches:
    """The good patches with the most novel admitted ones; over budget, the most redundant are removed, less used ones
    first.

    Age does not matter: what was learned in an old regime stays, since nothing else lies near it.
    """
    if not admitted:
        return good
    fresh = gather([(a.sample, a.patches) for a in admitted], [a.patch_index for a in admitted])
    rows = select(good.vectors, fresh.vectors, min(capacity.lesson, capacity.size), seed)
    if len(rows) == 0:
        return good
    union = good.joined(fresh.subset(rows))
    while len(union) > capacity.size:  # more than one round only where a third or more must leave
        leaving, _ = redundant(union.vectors, union.sample_index, union.usage_count, len(union) - capacity.size)
        union = union.subset(np.delete(np.arange(len(union)), leaving))
    return union
