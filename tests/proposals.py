"""A base model of plain numbers, parts and defects around it, and what may be proposed on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from versions import bank_of, features, version

from memory.calibration import CalibrationSet
from memory.defects import ConfirmedDefects, Defect
from memory.detector import Capacity, GoodPart
from memory.features import Features, View
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.good_patches import GoodPatches, gather
from memory.version import Model, Snapshot
from policies.admission import Proposal
from policies.fitting import Limits
from policies.threshold import Threshold, calibrate

LIMITS = Limits(Capacity(size=110, lesson=10), calibration_parts=20, defects=10, rate=0.2, review_rate=0.2)
LAST_PATCH = np.arange(16)[None] == 15  # of a grid of one row
Patches = npt.NDArray[np.float32]


def around(rng: np.random.Generator, centre: float | npt.NDArray[np.float64], count: int = 16) -> Patches:
    """Patches of three whole numbers, each at most 1 from the centre."""
    return (centre + rng.integers(-1, 2, (count, 3))).astype(np.float32)


def showing(*patches: Patches) -> Features:
    """The features of an image that shows all of these."""
    return features(np.concatenate(patches))


def scratch(rng: np.random.Generator, name: str, where: float = 20) -> Defect:
    """A defect whose last patch lies around `where`, the others around what is normal."""
    return Defect(name, showing(around(rng, 0, 15), around(rng, where, 1)), LAST_PATCH)


def model(rng: np.random.Generator, *defects: Defect) -> Model:
    """Normal patches lie around 0; held-out goods score little."""
    bank = bank_of(gather([(f"taught{i}", around(rng, 0, 30)) for i in range(3)]))
    calibration = CalibrationSet(tuple(f"h{i}" for i in range(9)), tuple(showing(around(rng, 0)) for _ in range(9)))
    threshold = calibrate([bank.score(View(part)).value for part in calibration.features], 0.2)
    snapshot = Snapshot(bank, ConfirmedDefects(defects), calibration, {})
    return Model(version(threshold=threshold.to_json()), snapshot)


def with_threshold(base: Model, threshold: Threshold) -> Model:
    """The same model under another threshold."""
    return Model(replace(base.version, threshold=threshold.to_json()), base.snapshot)


def good_part(name: str, features: Features) -> GoodPart:
    """A part that was confirmed as good."""
    return GoodPart(name, View(features))


def twice(name: str, features: Features) -> tuple[GoodPart, GoodPart]:
    """Two parts that show the same: what is new is learned."""
    return good_part(name, features), good_part(f"{name}-2", features)


def proposal(
    base: Model, threshold: Threshold, good: GoodPatches | None = None, added: tuple[str, ...] = ()
) -> Proposal:
    """A proposal of this threshold, and of other good patches than the base's where some are named."""
    bank = base.snapshot.detector
    assert isinstance(bank, PatchBank)
    detector = bank if good is None else bank.with_good(good)
    return Proposal(base, replace(base.snapshot, detector=detector), threshold, added, removed=(), refused=())
