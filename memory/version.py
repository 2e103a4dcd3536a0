"""The frozen manifest of one version, and the model that it describes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.calibration import CalibrationSet
from memory.defects import ConfirmedDefects
from memory.detector import PATCH_BANK, Detector
from memory.errors import Damaged

LATER_FIELDS = frozenset({"geometry", "revoked", "spans", "waiting"})


@dataclass(frozen=True)
class Snapshot:
    """The data of a version; `reference` and `regimes` belong to `drift` and are plain arrays here."""

    detector: Detector
    confirmed_defects: ConfirmedDefects
    calibration_set: CalibrationSet
    reference: Mapping[str, npt.NDArray[np.float64]]
    regimes: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """A version's manifest: what it is, where it came from, who taught it. All manifests together are the audit log.

    `parent` is the number it was made from (None for the first) and `parent_sha256` that manifest's own sum, so the
    chain cannot be rewritten unseen. `blobs` maps each part of the snapshot to its SHA-256. `added`, `removed` and
    `refused` are sample ids (file names or frame ids). `feedback_through` is the id of the last feedback it takes into
    account. `restores` names the version that a rollback or a revocation started from; a revocation then learned the
    answers of `spans` (after, through] anew, without `revoked` (feedback ids). `waiting` are confirmed samples with
    patches that a later lesson may learn. `detector` is the kind of its detector; manifests that do not name it hold a
    patch bank. `geometry` is that of its images (`memory.geometry`); manifests that state none squeeze any image.
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
    detector: str = PATCH_BANK
    geometry: Mapping[str, Any] = field(default_factory=dict)

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
        """All fields, except later ones with their empty value: so older manifests keep their checksum."""
        body = {name: value for name, value in asdict(self).items() if value or name not in LATER_FIELDS}
        return {name: value for name, value in body.items() if (name, value) != ("detector", PATCH_BANK)}


@dataclass(frozen=True)
class VersionDraft:
    """The fields of a manifest that are known before the commit: all but its number, checksums, blobs and detector.

    `parent` is the version that it was made from; every other field is as in `Version`.
    """

    parent: Version | None
    cause: str
    who: str
    created_at: str
    extractor: str
    geometry: Mapping[str, Any]
    threshold: Mapping[str, Any]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    gate: Mapping[str, Any] = field(default_factory=dict)
    feedback_through: int = 0
    restores: int | None = None
    revoked: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    waiting: tuple[str, ...] = ()

    def numbered(self, number: int, blobs: Mapping[str, str], detector: Detector) -> Version:
        """The manifest with this number; `blobs` maps each part of the snapshot to its SHA-256."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "parent"}
        return Version(
            **values
            | {"threshold": dict(self.threshold), "gate": dict(self.gate), "geometry": dict(self.geometry)}
            | {
                "number": number,
                "parent": self.parent.number if self.parent else None,
                "parent_sha256": self.parent.sha256 if self.parent else None,
                "blobs": blobs,
                "bank_size": detector.size,
                "detector": detector.kind,
            }
        )


@dataclass(frozen=True)
class Model:
    """A version with its snapshot: immutable, so one reference to it can be replaced while others score."""

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
        values: dict[str, Any] = {
            name: tuple(value) if name in {"added", "removed", "refused", "revoked", "waiting"} else value
            for name, value in body.items()
            if name in known
        }
        if "spans" in values:
            values["spans"] = tuple((int(after), int(through)) for after, through in values["spans"])
        version = Version(**values)
        if set(body) - known or version.sha256 != claimed:
            raise ValueError("its checksum does not match its text")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            expected="an intact version manifest",
            came=f"{source}: {error}",
            do="the version before it is used; restore the file from a backup to get this one back",
        ) from error
    return version
