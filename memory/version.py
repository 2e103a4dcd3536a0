"""The frozen manifest of one version, and the model that it describes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.bank import Bank
from memory.contrasts import NeighbourCache
from memory.defects import ConfirmedDefects
from memory.errors import Damaged
from memory.features import Features


@dataclass(frozen=True)
class CalibrationSet:
    """Good parts that calibrate the threshold, oldest first; each is scored by the bank without its own patches.

    `regimes` are the conditions that they were seen in, 0 that of the taught ones, which they are unless it is said.
    """

    samples: tuple[str, ...]
    features: tuple[Features, ...]
    regimes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "regimes", self.regimes or (0,) * len(self.samples))

    def grown(
        self, samples: Sequence[str], features: Sequence[Features], regimes: Sequence[int], most: int
    ) -> CalibrationSet:
        """With some parts more. Over `most`, the oldest of the regime that has most parts leaves, one by one."""
        parts = [
            *zip(self.samples, self.features, self.regimes, strict=True),
            *zip(samples, features, regimes, strict=True),
        ]
        while len(parts) > most:
            counts = Counter(regime for _, _, regime in parts)
            most_frequent = max(counts.values())
            del parts[next(i for i, (_, _, regime) in enumerate(parts) if counts[regime] == most_frequent)]
        return CalibrationSet(tuple(p[0] for p in parts), tuple(p[1] for p in parts), tuple(p[2] for p in parts))


@dataclass(frozen=True)
class Snapshot:
    """The five things a version is made of; `reference` and `regimes` are drift's, and only arrays to this package.

    `contrasts` are those of the replayed defects and calibration parts, kept from what it `follows` and found where
    they are missing: they are never stored.
    """

    bank: Bank
    confirmed_defects: ConfirmedDefects
    calibration_set: CalibrationSet
    reference: Mapping[str, npt.NDArray[np.float64]]
    follows: InitVar[NeighbourCache | None] = None
    regimes: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    contrasts: NeighbourCache = field(init=False, repr=False, compare=False)

    def __post_init__(self, follows: NeighbourCache | None) -> None:
        proving = (*self.calibration_set.features, *(defect.features for defect in self.confirmed_defects.defects))
        kept = follows.restricted_to(proving).rebased(self.bank) if follows else NeighbourCache(self.bank)
        object.__setattr__(self, "contrasts", kept)


@dataclass(frozen=True)
class Version:
    """A version's manifest: what it is, where it came from, who taught it. The chain is the audit log.

    `parent` is the number it was made from (None for the first) and `parent_sha256` that manifest's own sum,
    so the chain cannot be rewritten unseen. `blobs` maps each part of the contents to its SHA-256.
    `added`, `removed` and `refused` are sample ids (file names or frame ids). `feedback_through` is the id of
    the last feedback it takes into account. `restores` names the version that a rollback or a revocation started
    from; a revocation then learned the answers of `spans` (after, through] anew, without `revoked` (feedback ids).
    `waiting` are confirmed samples with patches that a later lesson may learn.
    """

    number: int
    parent: int | None
    parent_sha256: str | None
    cause: str
    who: str
    created_at: str
    extractor: str
    blobs: Mapping[str, str]
    bank_size: int
    threshold: Mapping[str, Any]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    refused: tuple[str, ...]
    gate: Mapping[str, Any]
    feedback_through: int
    restores: int | None = None
    revoked: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    waiting: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Canonical JSON, closed by the SHA-256 of everything before it."""
        body = self._body() | {"sha256": self.sha256}
        return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False).encode()

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest's canonical JSON."""
        canonical = json.dumps(self._body(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _body(self) -> dict[str, Any]:
        """All fields, without later ones where they say nothing: older manifests keep their checksum."""
        later = {"revoked", "spans", "waiting"}
        return {name: value for name, value in asdict(self).items() if value or name not in later}


@dataclass(frozen=True)
class Model:
    """A version with its contents: immutable, so one reference to it can be replaced while others score."""

    version: Version
    snapshot: Snapshot


def decode(text: bytes, source: str) -> Version:
    """Read a manifest written by `Version.encode`.

    Raises Damaged naming `source` when it is truncated, altered or of another shape.
    """
    try:
        body = json.loads(text)
        claimed = body.pop("sha256")
        known = {f.name for f in fields(Version)}
        given: dict[str, Any] = {
            name: tuple(value) if name in {"added", "removed", "refused", "revoked", "waiting"} else value
            for name, value in body.items()
            if name in known
        }
        if "spans" in given:
            given["spans"] = tuple((int(after), int(through)) for after, through in given["spans"])
        version = Version(**given)
        if set(body) - known or version.sha256 != claimed:
            raise ValueError("its checksum does not match its text")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            expected="an intact version manifest",
            came=f"{source}: {error}",
            do="the version before it is used; restore the file from a backup to get this one back",
        ) from error
    return version
