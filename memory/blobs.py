"""Encoding of snapshots as bytes: safetensors only, content-addressed, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from memory.calibration import CalibrationSet
from memory.defects import ConfirmedDefects, Defect
from memory.errors import Damaged
from memory.features import EVERY_CELL, Features
from memory.learners import learner_of
from memory.version import Snapshot

Arrays = dict[str, npt.NDArray[Any]]
MOST_HEADER_BYTES = 100_000_000  # as safetensors allows


def encode(snapshot: Snapshot) -> dict[str, bytes]:
    """The bytes of each part of a snapshot, by its name in the manifest. Equal snapshots give equal bytes."""
    defects, calibration = snapshot.confirmed_defects, snapshot.calibration_set
    masks = _numbered("region", [defect.mask for defect in defects.defects])
    return {
        "bank": _bytes(dict(snapshot.detector.arrays()), snapshot.detector.samples),
        "replay": _bytes(_stack([defect.features for defect in defects.defects]) | masks, defects.samples),
        "held_out": _bytes(
            _stack(calibration.features) | {"regimes": np.array(calibration.regimes, dtype=np.int64)},
            calibration.samples,
        ),
        "reference": _bytes(dict(snapshot.reference), ()),
        "regimes": _bytes(dict(snapshot.regimes), ()),
    }


def decode(blobs: Mapping[str, bytes], detector: str) -> Snapshot:
    """The snapshot that `encode` wrote; `detector` names the kind of its detector. Raises Damaged when a blob is not of
    that form, DriftlineError where this kind is not installed."""
    learner = learner_of(detector)
    try:
        parts = {name: _arrays(blob) for name, blob in blobs.items()}
        defects, defect_samples = parts["replay"]
        calibration, good_samples = parts["held_out"]
        return Snapshot(
            detector=learner.load(*parts["bank"]),
            confirmed_defects=ConfirmedDefects(
                tuple(
                    Defect(sample, _features(defects, i), defects[f"region.{i:06d}"])
                    for i, sample in enumerate(defect_samples)
                )
            ),
            calibration_set=CalibrationSet(
                good_samples,
                tuple(_features(calibration, i) for i in range(len(good_samples))),
                tuple(int(regime) for regime in calibration.get("regimes", ())),
            ),
            reference=parts["reference"][0],
            regimes=parts["regimes"][0] if "regimes" in parts else {},  # before format 5 there were none
        )
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(error) from error


def arrays(blob: bytes) -> Arrays:
    """The arrays of a blob alone, as "reference" is. Raises Damaged when the blob is not of that form."""
    try:
        return _arrays(blob)[0]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(error) from error


def samples(path: Path) -> tuple[str, ...]:
    """The samples that a blob names; only its header is read. Raises OSError, or Damaged."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            return _named(file.read(min(length, MOST_HEADER_BYTES)))
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(error) from error


def _damaged(error: Exception) -> Damaged:
    return Damaged(
        expected="blobs written by Driftline",
        came=f"{type(error).__name__}: {error}",
        do="restore the store from a backup, or roll back to an older version",
    )


def _stack(features: Sequence[Features]) -> Arrays:
    patches = _numbered("patches", [one.halved.values for one in features])
    grids = _numbered("grid", [np.array(one.grid, dtype=np.int32) for one in features])
    parts_of_grids = {f"cells.{i:06d}": one.cells for i, one in enumerate(features) if not one.complete}
    wholes = {f"whole.{i:06d}": np.array([one.whole]) for i, one in enumerate(features) if one.whole != len(one)}
    return patches | grids | parts_of_grids | wholes


def _numbered(name: str, arrays: list[Any]) -> Arrays:
    return {f"{name}.{i:06d}": array for i, array in enumerate(arrays)}


def _features(arrays: Arrays, i: int) -> Features:
    rows, columns = (int(n) for n in arrays[f"grid.{i:06d}"])
    patches = arrays[f"patches.{i:06d}"]
    (whole,) = arrays.get(f"whole.{i:06d}", np.array([len(patches)])).tolist()
    return Features(patches, (rows, columns), arrays.get(f"cells.{i:06d}", EVERY_CELL), whole)


def _bytes(arrays: Arrays, samples: tuple[str, ...]) -> bytes:
    # One metadata key only: safetensors does not order several, and the bytes are content-addressed.
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return bytes(save(contiguous, metadata={"samples": json.dumps(samples, ensure_ascii=False)}))


def _arrays(blob: bytes) -> tuple[Arrays, tuple[str, ...]]:
    return load(blob), _named(blob[8 : 8 + int.from_bytes(blob[:8], "little")])


def _named(header: bytes) -> tuple[str, ...]:
    return tuple(json.loads(json.loads(header)["__metadata__"]["samples"]))
