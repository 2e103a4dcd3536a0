"""Queries about operators' answers."""

from __future__ import annotations

import json
from collections.abc import Iterable

from daemon.ledger.ledger import Ledger
from daemon.ledger.records import RecordedAnswer, Revocation, Span
from daemon.ledger.rows import recorded_answer


def every_answer(ledger: Ledger) -> list[RecordedAnswer]:
    """All answers, oldest first, revoked ones too."""
    return [recorded_answer(row) for row in ledger.database.rows("SELECT * FROM answers ORDER BY id")]


def answers_on(ledger: Ledger, frame_id: str) -> list[RecordedAnswer]:
    """All answers on a frame, oldest first, revoked ones too."""
    rows = ledger.database.rows("SELECT * FROM answers WHERE frame_id = ? ORDER BY id", frame_id)
    return [recorded_answer(row) for row in rows]


def standing_on(ledger: Ledger, frame_id: str) -> list[RecordedAnswer]:
    """Each operator's newest answer on a frame that is not revoked, oldest first."""
    rows = ledger.database.rows("SELECT * FROM standing WHERE frame_id = ? ORDER BY id", frame_id)
    return [recorded_answer(row) for row in rows]


def learnable_on(ledger: Ledger, frame_id: str, through: int) -> list[RecordedAnswer]:
    """The answers on a frame that stood at `through` and were in time, in the order of the operators' first answers."""
    rows = ledger.database.rows(
        "SELECT * FROM answers WHERE id IN (SELECT max(id) FROM counting WHERE frame_id = ? AND id <= ?"
        " AND effect <> 'late' GROUP BY operator) ORDER BY first_id",
        frame_id,
        through,
    )
    return [recorded_answer(row) for row in rows]


def answers_by(ledger: Ledger, operator: str | None, since_ms: int, until_ms: int) -> list[RecordedAnswer]:
    """All answers by an operator (None: by anyone) given in [since, until], oldest first."""
    rows = ledger.database.rows(
        "SELECT * FROM answers WHERE operator = coalesce(?, operator) AND received_ms BETWEEN ? AND ? ORDER BY id",
        operator,
        since_ms,
        until_ms,
    )
    return [recorded_answer(row) for row in rows]


def drawn_defects(ledger: Ledger, versions: Iterable[int]) -> dict[str, float]:
    """The scores, as they were judged by these versions, of parts that were drawn at random to be asked about and that
    people call defects, and nobody good, by their frames."""
    rows = ledger.database.rows(
        "SELECT frame_id, score FROM line_frames WHERE audited = 1 AND score IS NOT NULL"
        " AND frame_id IN (SELECT frame_id FROM standing WHERE verdict = 'defect')"
        " AND frame_id NOT IN (SELECT frame_id FROM standing WHERE verdict = 'good')"
        " AND version IN (SELECT value FROM json_each(?)) ORDER BY seq",
        json.dumps(sorted(versions)),
    )
    return {row[0]: row[1] for row in rows}


def open_drawn(ledger: Ledger, versions: Iterable[int]) -> int:
    """How many parts that these versions scored and that were drawn at random have no answer that stands, or answers
    that differ."""
    return ledger.database.number(
        "SELECT count(*) FROM line_frames WHERE audited = 1 AND score IS NOT NULL"
        " AND version IN (SELECT value FROM json_each(?))"
        " AND (SELECT count(DISTINCT verdict) FROM standing WHERE standing.frame_id = line_frames.frame_id) <> 1",
        json.dumps(sorted(versions)),
    )


def is_recorded(ledger: Ledger, key: str) -> bool:
    """Whether an answer with this idempotency key is recorded."""
    return ledger.database.row("SELECT 1 FROM feedback WHERE key = ?", key) is not None


def last_answer(ledger: Ledger) -> int:
    """The id of the newest answer, 0 before the first."""
    return ledger.database.number("SELECT max(id) FROM feedback")


def answers_after(ledger: Ledger, answer_id: int) -> int:
    """The number of answers after this one that may teach and are not revoked."""
    return ledger.database.number(
        "SELECT count(*) FROM teaching WHERE id > ? AND id NOT IN (SELECT feedback_id FROM revoked)", answer_id
    )


def frames_answered_in(ledger: Ledger, span: Span) -> list[str]:
    """The frames with an answer in a span that may teach, in the order of the first such answer."""
    rows = ledger.database.rows(
        "SELECT frame_id FROM teaching WHERE id > ? AND id <= ? GROUP BY frame_id ORDER BY min(id)",
        span.after,
        span.through,
    )
    return [row["frame_id"] for row in rows]


def frames_of_answers(ledger: Ledger, ids: tuple[int, ...]) -> set[str]:
    """The frames that these answers are about."""
    rows = ledger.database.rows(
        "SELECT DISTINCT frame_id FROM feedback WHERE id IN (SELECT value FROM json_each(?))", json.dumps(ids)
    )
    return {row["frame_id"] for row in rows}


def teaching_among(ledger: Ledger, ids: tuple[int, ...]) -> tuple[int, ...]:
    """Those of these answers that may have taught something."""
    rows = ledger.database.rows(
        "SELECT id FROM teaching WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", json.dumps(ids)
    )
    return tuple(row["id"] for row in rows)


def operators_in(ledger: Ledger, span: Span) -> list[str]:
    """The operators of a span's answers that may teach, in alphabetical order."""
    rows = ledger.database.rows(
        "SELECT DISTINCT operator FROM teaching WHERE id > ? AND id <= ? ORDER BY operator", span.after, span.through
    )
    return [row["operator"] for row in rows]


def count_revoked(ledger: Ledger, through: int) -> int:
    """How many of the answers up to this one that may have taught something are revoked."""
    return ledger.database.number(
        "SELECT count(*) FROM revoked JOIN teaching ON id = feedback_id WHERE feedback_id <= ?", through
    )


def revocations(ledger: Ledger) -> list[Revocation]:
    """All revocations, in the order of the answers."""
    rows = ledger.database.rows("SELECT feedback_id, at_ms, who, reason FROM revoked ORDER BY feedback_id")
    return [Revocation(*row) for row in rows]
