"""Small versions and their parts, in which only what a test names matters."""

from __future__ import annotations

import numpy as np

from memory.calibration import CalibrationSet
from memory.defects import ConfirmedDefects
from memory.features import Features
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.good_patches import GoodPatches, gather
from memory.store import Store
from memory.version import Snapshot, Version, VersionDraft


def features(patches: object, grid: tuple[int, int] | None = None) -> Features:
    """Features of given patches (P, D); the grid is one row unless given."""
    values = np.asarray(patches, dtype=np.float32)
    return Features(values, grid or (1, len(values)))


def bank_of(good: GoodPatches) -> PatchBank:
    """A bank of good patches that remembers no defect."""
    return PatchBank.of(good)


def good_of(snapshot: Snapshot) -> GoodPatches:
    """The good patches of a snapshot's bank."""
    bank = snapshot.detector
    assert isinstance(bank, PatchBank)
    return bank.good


def arrays_of(snapshot: Snapshot) -> dict[str, bytes]:
    """What a snapshot's detector is made of, to compare to the bit."""
    return {name: array.tobytes() for name, array in snapshot.detector.arrays().items()}


def contents(seed: int = 0, patches: int = 12) -> Snapshot:
    """Small random contents, exact in float16."""
    rng = np.random.default_rng(seed)
    draw = lambda n: rng.integers(-50, 50, (n, 4)).astype(np.float32)  # noqa: E731  # two uses, one line
    return Snapshot(
        detector=bank_of(gather([("a.png", draw(patches)), ("b.png", draw(3))])),
        confirmed_defects=ConfirmedDefects(),
        calibration_set=CalibrationSet(("c.png", "d.png"), (features(draw(4), (2, 2)), features(draw(4), (2, 2)))),
        reference={"mean": np.zeros(9), "spread": np.ones(9), "axes": np.eye(3, 4), "centre": np.zeros(4)},
    )


def commit(store: Store, snapshot: Snapshot, parent: Version | None = None, **also: object) -> Version:
    """Commit with plain values where the test does not care."""
    defaults: dict[str, object] = {
        "cause": "test",
        "who": "pytest",
        "created_at": "2026-01-01T00:00:00.000+00:00",
        "extractor": "e" * 64,
        "geometry": {},
        "threshold": {"value": 1.0, "rate": 0.1, "guaranteed_rate": 0.1, "scores": [0.5, 1.0]},
    }
    return store.commit(snapshot, VersionDraft(parent=parent, **(defaults | also)))  # type: ignore[arg-type]  # plain values by name


def version(**named: object) -> Version:
    """The manifest of a first version, in which only what is named matters."""
    defaults: dict[str, object] = {
        "number": 1,
        "parent": None,
        "parent_sha256": None,
        "cause": "teach",
        "who": "pytest",
        "created_at": "",
        "extractor": "e" * 64,
        "blobs": {},
        "bank_size": 0,
        "threshold": {},
        "added": (),
        "removed": (),
        "refused": (),
        "gate": {},
        "feedback_through": 0,
    }
    return Version(**(defaults | named))  # type: ignore[arg-type]  # plain values by name
