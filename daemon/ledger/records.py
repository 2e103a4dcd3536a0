"""The ledger's records, plain and immutable; database rows do not leave this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from drift.regimes import TAUGHT
from drift.signals import Vector
from policies.verdict import Label, Verdict

Box = tuple[float, float, float, float]


class Effect(StrEnum):
    """The effect of an operator's answer when it was recorded."""

    ACCEPTED = "accepted"
    CORRECTION = "correction"
    CONTRADICTION = "contradiction"
    LATE = "late"
    CHECK = "check"
    UNCONFIRMED = "unconfirmed"


SHIFT_REPORTED = "shift_reported"  # the kind of event that holds the figures of a shift


@dataclass(frozen=True)
class SceneRecord:
    """A frame's light and signals, packed as doubles.

    `light` is the light by channel that the frame was compensated for, `taught_light` that of the reference, and
    `next_light` the light as estimated after it; the logarithms are the same as one number each, and all that ledgers
    before format 5 hold. `signals` is None where nothing was measured.
    """

    log_ratio: float = 0.0
    next_log_ratio: float = 0.0
    reference_light: float | None = None
    light: bytes | None = None
    taught_light: bytes | None = None
    next_light: bytes | None = None
    signals: bytes | None = None

    @property
    def gain(self) -> Vector:
        """The logarithm by channel (3,) that the frame was compensated with."""
        if self.light and self.taught_light:
            return unpacked(self.light) - unpacked(self.taught_light)
        return np.full(3, self.log_ratio)


@dataclass(frozen=True, kw_only=True)
class NewVerdict:
    """A frame's verdict with all that led to it, as it is to be recorded.

    `evidence` is the detector's, on what decided the score. `reference` names the reference that the scene was measured
    against. `kept` names the image in `KeptFrames`, None once it is gone. `trial` is the verdict of a proposal on
    trial. Frames that were `imported` never passed the line.
    """

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
    drift: Mapping[str, Any] = field(default_factory=dict)
    scene: SceneRecord = field(default_factory=SceneRecord)
    image_sha256: str | None = None
    kept: str | None = None
    asked: bool = False
    audited: bool = False
    trial: Verdict | None = None
    timings: Mapping[str, Any] = field(default_factory=dict)
    imported: bool = False

    @property
    def regime(self) -> int:
        """The regime that the frame was judged in."""
        return int(self.drift.get("regime", TAUGHT))


@dataclass(frozen=True, kw_only=True)
class JudgedFrame(NewVerdict):
    """A frame with its one verdict, as it was recorded.

    `seq` numbers frames in the order in which they were judged; `wire_id` is the verdict's id in the verdicts stream,
    and `published` whether it is there.
    """

    seq: int
    wire_id: str
    published: bool


@dataclass(frozen=True)
class PlantVerdict:
    """A verdict as plant connectors publish it."""

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


@dataclass(frozen=True, kw_only=True)
class NewAnswer:
    """One operator's answer about one frame, as it is to be recorded. `box` is (left, top, right, bottom) as shares of
    the image; `key` makes the answer count once, however often it is sent; `looked_ms` is how long the part was shown
    before, where that is known."""

    key: str
    frame_id: str
    label: Label
    operator: str
    box: Box | None
    received_ms: int
    effect: Effect
    looked_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedAnswer(NewAnswer):
    """An answer as it was recorded; ids rise with time, and `revoked_by` is who revoked it."""

    id: int
    revoked_by: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it tells what the part is: it is not revoked, no check of its operator, and waits for nobody."""
        return self.revoked_by is None and self.effect not in (Effect.CHECK, Effect.UNCONFIRMED)


@dataclass(frozen=True)
class RecordedEvent:
    """An event as it was recorded."""

    id: int
    at_ms: int
    kind: str
    detail: Mapping[str, Any]

    @property
    def entry(self) -> str:
        """The event's id in the events stream."""
        return f"{self.at_ms}-{self.id}"


@dataclass(frozen=True)
class SetAside:
    """A confirmation that was set aside, so that it is not proposed again, with the reason."""

    frame_id: str
    at_ms: int
    reason: str


@dataclass(frozen=True)
class Revocation:
    """The revocation of an answer: by whom, when and why."""

    answer_id: int
    at_ms: int
    who: str
    reason: str


@dataclass(frozen=True)
class KeptImage:
    """The image of a frame, by its name in `KeptFrames`."""

    seq: int
    name: str


@dataclass(frozen=True)
class Span:
    """A span of answers by their ids: those after `after`, up to and including `through`."""

    after: int
    through: int

    def __contains__(self, answer_id: int) -> bool:
        return self.after < answer_id <= self.through


def unpacked(doubles: bytes) -> Vector:
    """Packed doubles as an array (n,)."""
    values: Vector = np.frombuffer(doubles, dtype=np.float64)
    return values
