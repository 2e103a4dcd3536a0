"""Trials in the ledger: which one is under way, how many frames it has seen, and where it differed."""

from __future__ import annotations

from dataclasses import asdict

from daemon.inference.shadow import LessonTicket
from daemon.ledger.ledger import Ledger
from policies.shadow import Disagreement
from policies.verdict import Verdict

STATUS = "trial"


def begun(ledger: Ledger, base: int) -> LessonTicket | None:
    """The trial of a proposal from version `base` that is not over, also after a restart."""
    said = ledger.get_status(STATUS)
    return LessonTicket(**said) if said and said["base"] == base else None


def begin(ledger: Ledger, lesson: LessonTicket) -> None:
    """Make the trial known, so that a restart goes on with it."""
    ledger.set_status(STATUS, asdict(lesson))


def end(ledger: Ledger) -> None:
    """No trial is under way."""
    ledger.set_status(STATUS, {})


def seen(ledger: Ledger, lesson: LessonTicket) -> int:
    """Frames that both have scored since the trial began."""
    row = ledger.one("SELECT count(*) AS n FROM frames WHERE seq > ? AND trial IS NOT NULL", lesson.after)
    return int(row["n"]) if row else 0


def disagreements(ledger: Ledger, lesson: LessonTicket) -> tuple[Disagreement, ...]:
    """Frames that the proposal would have judged otherwise, oldest first."""
    query = "SELECT frame_id, verdict, trial FROM frames WHERE seq > ? AND trial <> verdict ORDER BY seq"
    rows = ledger.all(query, lesson.after)
    return tuple(Disagreement(r["frame_id"], Verdict(r["verdict"]), Verdict(r["trial"])) for r in rows)
