"""Every change of what a line knows that the ledger holds: answers, those taken back, and frames set aside."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.ledger.ledger import Ledger
from daemon.ledger.records import RecordedAnswer
from daemon.ledger.rows import recorded_answer


@dataclass(frozen=True)
class Revocation:
    """An answer that was taken back."""

    answer_id: int
    at_ms: int
    who: str
    reason: str


@dataclass(frozen=True)
class SetAside:
    """A confirmed frame that is not proposed again."""

    frame_id: str
    at_ms: int
    reason: str


def answers_given(ledger: Ledger) -> list[RecordedAnswer]:
    """All answers, oldest first."""
    return [recorded_answer(row) for row in ledger.all("SELECT * FROM answers ORDER BY id")]


def revocations(ledger: Ledger) -> list[Revocation]:
    """All answers that were taken back, in the order in which they were given."""
    rows = ledger.all("SELECT feedback_id, at_ms, who, reason FROM revoked ORDER BY feedback_id")
    return [Revocation(row["feedback_id"], row["at_ms"], row["who"], row["reason"]) for row in rows]


def set_aside(ledger: Ledger) -> list[SetAside]:
    """All frames that were set aside, oldest first."""
    rows = ledger.all("SELECT frame_id, at_ms, reason FROM quarantine ORDER BY at_ms")
    return [SetAside(row["frame_id"], row["at_ms"], row["reason"]) for row in rows]
