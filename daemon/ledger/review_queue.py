"""The review queue: parts that people are asked about, until somebody has answered."""

from __future__ import annotations

from daemon.ledger.frame_list import ListedFrame, listed_frame
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import RecordedAnswer
from daemon.ledger.rows import recorded_answer


def open_for_review(ledger: Ledger, limit: int, answered_by: str | None = None) -> list[ListedFrame]:
    """Frames that people are asked about and nobody has answered for so that it counts: first what was not passed, then
    the most anomalous of what was; without those that `answered_by` has answered for, and a second person must."""
    rows = ledger.database.rows(
        "SELECT * FROM open_reviews WHERE NOT EXISTS (SELECT 1 FROM answers"
        "  WHERE answers.frame_id = open_reviews.frame_id AND operator = ? AND revoked_by IS NULL)"
        " ORDER BY verdict = 'OK', p_value, seq DESC LIMIT ?",
        answered_by,
        limit,
    )
    return [listed_frame(row) for row in rows]


def count_open(ledger: Ledger) -> int:
    """The number of frames that wait for an answer."""
    return ledger.database.number("SELECT count(*) FROM open_reviews")


def is_open(ledger: Ledger, frame_id: str) -> bool:
    """Whether a frame waits for an answer."""
    return ledger.database.row("SELECT 1 FROM open_reviews WHERE frame_id = ?", frame_id) is not None


def answer_of_another(ledger: Ledger, frame_id: str, operator: str) -> RecordedAnswer | None:
    """The first answer that counts which another operator gave about a frame; None where there is none."""
    row = ledger.database.row(
        "SELECT * FROM answers WHERE frame_id = ? AND operator <> ? AND revoked_by IS NULL"
        " AND effect NOT IN ('check', 'unconfirmed') ORDER BY id",
        frame_id,
        operator,
    )
    return recorded_answer(row) if row else None
