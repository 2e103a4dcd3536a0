"""Trials in the ledger: the one under way, the frames that it has scored, and where it differed."""

from __future__ import annotations

from dataclasses import asdict

from daemon.inference.shadow import LessonTicket
from daemon.ledger.frames import trial_disagreements, trial_frames
from daemon.ledger.ledger import Ledger
from policies.shadow import Disagreement

STATUS = "trial"


def under_way(ledger: Ledger, base: int) -> LessonTicket | None:
    """The ticket of the trial from version `base` that is under way, also after a restart; None without one."""
    ticket = ledger.get_status(STATUS)
    return LessonTicket(**ticket) if ticket and ticket["base"] == base else None


def begin(ledger: Ledger, lesson: LessonTicket) -> None:
    """Record that the trial is under way, so that a restart resumes it."""
    ledger.set_status(STATUS, asdict(lesson))


def end(ledger: Ledger) -> None:
    """Record that no trial is under way."""
    ledger.set_status(STATUS, {})


def seen(ledger: Ledger, lesson: LessonTicket) -> int:
    """The number of frames that both versions have scored since the trial began."""
    return trial_frames(ledger, lesson.after)


def disagreements(ledger: Ledger, lesson: LessonTicket) -> tuple[Disagreement, ...]:
    """Frames that the proposal would have judged otherwise, oldest first."""
    return trial_disagreements(ledger, lesson.after)
