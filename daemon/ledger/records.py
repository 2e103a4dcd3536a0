"""What the ledger holds, as plain immutable records: no other room sees a database row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from policies.verdict import Label, Verdict

Box = tuple[float, float, float, float]


class Effect(StrEnum):
    """What came of an operator's answer."""

    ACCEPTED = "accepted"
    CORRECTION = "correction"
    CONTRADICTION = "contradiction"
    LATE = "late"


@dataclass(frozen=True)
class NewVerdict:
    """A verdict that is to be recorded. Fields as in `JudgedFrame`."""

    frame_id: str
    part_id: str
    source: str
    judged_ms: int
    verdict: Verdict
    reason: str
    score: float | None = None
    p_value: float | None = None
    threshold: float | None = None
    version: int | None = None
    backend: str | None = None
    evidence: Mapping[str, Any] | None = None
    reference: str | None = None
    drift: Mapping[str, Any] | None = None
    image_sha256: str | None = None
    kept: str | None = None
    asked: bool = False
    audited: bool = False
    trial: Verdict | None = None
    timings: Mapping[str, Any] | None = None
    imported: bool = False
    log_ratio: float = 0.0
    next_log_ratio: float = 0.0
    reference_light: float | None = None
    light: bytes | None = None
    taught_light: bytes | None = None
    next_light: bytes | None = None
    signals: bytes | None = None


@dataclass(frozen=True)
class JudgedFrame:
    """A frame with its one verdict.

    `seq` numbers frames in the order in which they were judged; `wire_id` is the verdict's id in the verdicts stream.
    `evidence` is what the detector says decided the score (column `nearest`). `kept` names the image in `KeptFrames`,
    None once it is gone. `trial` is what a proposal on trial said. Light and signals are packed doubles, which
    `daemon.inference.scene_records` reads.
    """

    seq: int
    frame_id: str
    part_id: str
    source: str
    judged_ms: int
    verdict: Verdict
    reason: str
    score: float | None
    p_value: float | None
    threshold: float | None
    version: int | None
    backend: str | None
    evidence: Mapping[str, Any] | None
    reference: str | None
    drift: Mapping[str, Any]
    image_sha256: str | None
    kept: str | None
    asked: bool
    audited: bool
    trial: Verdict | None
    timings: Mapping[str, Any]
    wire_id: str
    published: bool
    imported: bool
    log_ratio: float
    next_log_ratio: float
    reference_light: float | None
    light: bytes | None
    taught_light: bytes | None
    next_light: bytes | None
    signals: bytes | None


@dataclass(frozen=True)
class PlantVerdict:
    """A verdict as a plant's systems and the pages are told of it."""

    seq: int
    frame_id: str
    part_id: str
    verdict: Verdict
    reason: str
    score: float | None
    threshold: float | None
    p_value: float | None
    version: int | None
    judged_ms: int


@dataclass(frozen=True)
class RecordedAnswer:
    """One operator's word on one frame, as it was recorded; `revoked_by` is who took it back."""

    id: int
    key: str
    frame_id: str
    label: Label
    operator: str
    box: Box | None
    received_ms: int
    effect: Effect
    revoked_by: str | None = None


@dataclass(frozen=True)
class RecordedEvent:
    """Something worth telling, `detail` by name."""

    id: int
    at_ms: int
    kind: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """Answers by their ids: those after `after` up to and with `through`."""

    after: int
    through: int

    def __contains__(self, answer_id: int) -> bool:
        return self.after < answer_id <= self.through
