"""Notices of drift for people: what has changed, since when, by how much, likely why, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drift.causes import Cause
from drift.monitor import Change, DriftState, Trust


class Action(StrEnum):
    """The service's response to a change."""

    COMPENSATED = "compensated"
    PAUSED = "learning paused"
    WATCHED = "watched"
    ASKING = "asking for labels"


@dataclass(frozen=True)
class DriftNotice:
    """A change of the scene, as an operator reads it: its `amount` in plain units, the service's `action`, and what to
    `do`."""

    cause: Cause
    since_ms: int
    amount: str
    reason: str
    action: Action
    do: str


FAR_SPREADS = 3.0  # single taught parts lie as far: a fault that shows no more does not pause learning
_ADVICE = {
    Cause.LIGHT: ("lamp, shutter or daylight", Action.COMPENSATED, "nothing; see to the lamp if it goes on"),
    Cause.COLOUR: (
        "an ageing lamp, daylight, or the camera's white balance",
        Action.COMPENSATED,
        "fix the white balance",
    ),
    Cause.CONTRAST: ("stray light, haze, or a film on the lens", Action.PAUSED, "clean the lens and shade the scene"),
    Cause.BLUR: ("a dirty lens, lost focus, or vibration", Action.PAUSED, "clean the lens and focus it"),
    Cause.NOISE: ("too little light, or the camera's gain", Action.PAUSED, "check lamp, shutter and gain"),
    Cause.SHIFT: ("the fixture or the camera has moved", Action.PAUSED, "set the fixture right"),
    Cause.ROTATION: ("the fixture or the camera has turned", Action.PAUSED, "set the fixture right"),
    Cause.MATERIAL: (
        "another batch, wear, or dirt on the parts",
        Action.ASKING,
        "answer what is asked; teach again if all is new",
    ),
}


def notices(drift: DriftState) -> tuple[DriftNotice, ...]:
    """A notice for every change."""
    return tuple(_notice(change) for change in drift.changes)


def paused(drift: DriftState) -> str | None:
    """Why nothing may be learned now, or None: what a faulty camera shows is not what normal looks like.

    A fault that moves no signal farther than single taught parts do is only watched: it makes nothing anomalous look
    normal.
    """
    if drift.trust is Trust.UNTRUSTED:
        return "the scene has drifted beyond trust; check light, lens and camera first"
    stopped = [notice for notice in notices(drift) if notice.action is Action.PAUSED]
    return "; ".join(f"{notice.amount}, likely {notice.reason}: {notice.do}" for notice in stopped) or None


def _notice(change: Change) -> DriftNotice:
    reason, action, do = _ADVICE[change.cause]
    if action is Action.PAUSED and change.spreads < FAR_SPREADS:
        action = Action.WATCHED
    return DriftNotice(change.cause, change.since_ms, change.amount, reason, action, do)
