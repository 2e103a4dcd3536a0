"""Contents to bytes and back: safetensors only, content-addressed, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from memory.bank import Bank, DefectMemory
from memory.defects import ConfirmedDefects, Defect
from memory.errors import Damaged
from memory.features import Features
from memory.version import CalibrationSet, Snapshot

Arrays = dict[str, npt.NDArray[Any]]
MOST_HEADER_BYTES = 100_000_000  # as safetensors allows


def encode(contents: Snapshot) -> dict[str, bytes]:
    """The bytes of each part, by the name the manifest lists it under. Equal contents give equal bytes."""
    bank, replay, held_out = contents.bank, contents.confirmed_defects, contents.calibration_set
    defects = [d.features for d in replay.defects]
    return {
        "bank": _bytes(
            {
                "vectors": bank.vectors.astype(np.float16),
                "origin": bank.sample_index,
                "place": bank.patch_index,
                "use": bank.usage_count,
                "landmarks": bank.landmarks.astype(np.float16),
                "levels": np.array(bank.scale_range, dtype=np.float64),
                "shown": bank.defect_memory.vectors.astype(np.float16),
                "raising": np.array(
                    [bank.defect_memory.min_distance, bank.defect_memory.max_good_likeness], dtype=np.float64
                ),
            },
            bank.samples,
        ),
        "replay": _bytes(_stack(defects) | _numbered("region", [d.mask for d in replay.defects]), replay.samples),
        "held_out": _bytes(
            _stack(held_out.features) | {"regimes": np.array(held_out.regimes, dtype=np.int64)}, held_out.samples
        ),
        "reference": _bytes(dict(contents.reference), ()),
        "regimes": _bytes(dict(contents.regimes), ()),
    }


def decode(blobs: Mapping[str, bytes]) -> Snapshot:
    """The contents that `encode` wrote. Raises Damaged when a blob is not of that form."""
    try:
        parts = {name: _arrays(blob) for name, blob in blobs.items()}
        bank, samples = parts["bank"]
        defects, sick = parts["replay"]
        held, good = parts["held_out"]
        return Snapshot(
            bank=_bank(bank, samples),
            confirmed_defects=ConfirmedDefects(
                tuple(
                    Defect(sample, _features(defects, i), defects[f"region.{i:06d}"]) for i, sample in enumerate(sick)
                )
            ),
            calibration_set=CalibrationSet(
                good,
                tuple(_features(held, i) for i in range(len(good))),
                tuple(int(n) for n in held.get("regimes", ())),
            ),
            reference=parts["reference"][0],
            regimes=parts["regimes"][0] if "regimes" in parts else {},  # before format 5 there were none
        )
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(error) from error


def regimes(blob: bytes) -> Arrays:
    """What `encode` wrote under "regimes". Raises Damaged when the blob is not of that form."""
    try:
        return _arrays(blob)[0]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(error) from error


def samples(path: Path) -> tuple[str, ...]:
    """The samples that a blob names, without reading what it holds of them. Raises OSError, or Damaged."""
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


def _bank(arrays: Arrays, samples: tuple[str, ...]) -> Bank:
    rows = len(arrays["origin"])
    vectors = arrays["vectors"].astype(np.float32)
    shown = DefectMemory(arrays.get("shown", vectors[:0]).astype(np.float32), *map(float, arrays.get("raising", ())))
    low, high = arrays.get("levels", np.ones(2))  # before format 3 scores were plain distances
    return Bank(
        vectors=vectors,
        sample_index=arrays["origin"],
        samples=samples,
        patch_index=arrays.get("place", np.full(rows, -1, dtype=np.int32)),  # format 1 had no places
        usage_count=arrays.get("use", np.zeros(rows, dtype=np.int32)),
        landmarks=arrays.get("landmarks", vectors[:0]).astype(np.float32),
        defect_memory=shown,
        scale_range=(float(low), float(high)),
    )


def _stack(features: tuple[Features, ...] | list[Features]) -> Arrays:
    patches = _numbered("patches", [f.patches.astype(np.float16) for f in features])
    return patches | _numbered("grid", [np.array(f.grid, dtype=np.int32) for f in features])


def _numbered(name: str, arrays: list[Any]) -> Arrays:
    return {f"{name}.{i:06d}": array for i, array in enumerate(arrays)}


def _features(arrays: Arrays, i: int) -> Features:
    rows, columns = (int(n) for n in arrays[f"grid.{i:06d}"])
    return Features(arrays[f"patches.{i:06d}"].astype(np.float32), (rows, columns))


def _bytes(arrays: Arrays, samples: tuple[str, ...]) -> bytes:
    # One metadata key only: safetensors does not order several, and the bytes are content-addressed.
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return bytes(save(contiguous, metadata={"samples": json.dumps(samples, ensure_ascii=False)}))


def _arrays(blob: bytes) -> tuple[Arrays, tuple[str, ...]]:
    return load(blob), _named(blob[8 : 8 + int.from_bytes(blob[:8], "little")])


def _named(header: bytes) -> tuple[str, ...]:
    return tuple(json.loads(json.loads(header)["__metadata__"]["samples"]))
