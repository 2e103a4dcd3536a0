"""Trials in the ledger: which one is under way, how many frames it has seen, and where it differed."""

from __future__ import annotations

from dataclasses import asdict

from daemon.inference.shadow import LessonTicket
from daemon.ledger.frames import trial_disagreements, trial_frames
from daemon.ledger.ledger import Ledger
from policies.shadow import Disagreement

STATUS = "trial"


def under_way(ledger: Ledger, base: int) -> LessonTicket | None:
    """The trial of a proposal from version `base` that is not over, also after a restart."""
    ticket = ledger.get_status(STATUS)
    return LessonTicket(**ticket) if ticket and ticket["base"] == base else None


def begin(ledger: Ledger, lesson: LessonTicket) -> None:
    """Make the trial known, so that a restart goes on with it."""
    ledger.set_status(STATUS, asdict(lesson))


def end(ledger: Ledger) -> None:
    """No trial is under way."""
    ledger.set_status(STATUS, {})


def seen(ledger: Ledger, lesson: LessonTicket) -> int:
    """Frames that both have scored since the trial began."""
    return trial_frames(ledger, lesson.after)


def disagreements(ledger: Ledger, lesson: LessonTicket) -> tuple[Disagreement, ...]:
    """Frames that the proposal would have judged otherwise, oldest first."""
    return trial_disagreements(ledger, lesson.after)
