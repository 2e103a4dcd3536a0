"""What people are told of a change of the scene: what, since when, by how much, likely why, and what is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drift.monitor import Change, DriftState, Trust


class Action(StrEnum):
    """What the service does about a change."""

    COMPENSATED = "compensated"
    PAUSED = "learning paused"
    WATCHED = "watched"
    ASKING = "asking for labels"


@dataclass(frozen=True)
class DriftNotice:
    """One change, as an operator reads it: `amount` in plain units, `action` is ours and `do` is theirs."""

    cause: str
    since_ms: int
    amount: str
    reason: str
    action: Action
    do: str


FAR_SPREADS = 3.0  # single taught parts lie as far: what shows no more may be learned from
_SAYS = {
    "light": ("lamp, shutter or daylight", Action.COMPENSATED, "nothing; see to the lamp if it goes on"),
    "colour": ("an ageing lamp, daylight, or the camera's white balance", Action.COMPENSATED, "fix the white balance"),
    "contrast": ("stray light, haze, or a film on the lens", Action.PAUSED, "clean the lens and shade the scene"),
    "blur": ("a dirty lens, lost focus, or vibration", Action.PAUSED, "clean the lens and focus it"),
    "noise": ("too little light, or the camera's gain", Action.PAUSED, "check lamp, shutter and gain"),
    "shift": ("the fixture or the camera has moved", Action.PAUSED, "set the fixture right"),
    "rotation": ("the fixture or the camera has turned", Action.PAUSED, "set the fixture right"),
    "material": (
        "another batch, wear, or dirt on the parts",
        Action.ASKING,
        "answer what is asked; teach again if all is new",
    ),
}


def notices(drift: DriftState) -> tuple[DriftNotice, ...]:
    """A card for every change."""
    return tuple(_notice(change) for change in drift.changes)


def paused(drift: DriftState) -> str | None:
    """Why nothing may be learned now, or None: what a camera fault shows is not what normal looks like.

    A fault that moves no signal farther than single taught parts do is watched: it makes nothing look normal that was
    not.
    """
    if drift.trust is Trust.UNTRUSTED:
        return "the scene has drifted beyond trust; check light, lens and camera first"
    stopped = [card for card in notices(drift) if card.action is Action.PAUSED]
    return "; ".join(f"{card.amount}, likely {card.reason}: {card.do}" for card in stopped) or None


def _notice(change: Change) -> DriftNotice:
    reason, action, do = _SAYS[change.cause]
    if action is Action.PAUSED and change.spreads < FAR_SPREADS:
        action = Action.WATCHED
    return DriftNotice(change.cause, change.since_ms, change.amount, reason, action, do)
