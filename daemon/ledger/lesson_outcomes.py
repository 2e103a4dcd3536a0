"""Queries about lessons: what they were taught, which made no version, and what their versions made of parts."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.clock import from_iso
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Span
from memory.version import Version

FIRST_FRAMES = 3_000


@dataclass(frozen=True)
class Outcome:
    """What a version made of the first parts that it judged: how many, how many of these it flagged, and how many
    of the latter people have called good, and a defect."""

    judged: int
    flagged: int
    called_good: int
    called_defect: int


@dataclass(frozen=True)
class HeldLesson:
    """A lesson that made no version: when (Unix, ms), from which one, and why."""

    at_ms: int
    base: int
    reason: str


def outcome(ledger: Ledger, version: Version) -> Outcome:
    """What a version made of those of the next `FIRST_FRAMES` parts that it judged, by the newest answer on each."""
    row = ledger.database.row(
        "WITH next AS (SELECT frame_id, verdict, version FROM line_frames WHERE judged_ms >= ?"
        "  ORDER BY judged_ms LIMIT ?),"
        " first AS (SELECT frame_id, verdict = 'NG' AS flagged FROM next"
        "  WHERE version = ? AND verdict <> 'UNKNOWN'),"
        " told AS (SELECT flagged, (SELECT verdict FROM standing WHERE standing.frame_id = first.frame_id"
        "  ORDER BY id DESC LIMIT 1) AS label FROM first)"
        " SELECT count(*), coalesce(sum(flagged), 0), coalesce(sum(flagged AND label = 'good'), 0),"
        " coalesce(sum(flagged AND label = 'defect'), 0) FROM told",
        from_iso(version.created_at),
        FIRST_FRAMES,
        version.number,
    )
    assert row is not None  # noqa: S101  # a count has one row
    return Outcome(*row)


def answers_in(ledger: Ledger, span: Span, until_ms: int) -> dict[str, int]:
    """How many answers of a span that may teach said what, of those that stood at a time (Unix, ms): each person's
    newest about a frame, if that was not taken back until then."""
    rows = ledger.database.rows(
        "WITH stood AS (SELECT id, frame_id, operator, verdict FROM teaching WHERE id <= ?"
        " AND id NOT IN (SELECT feedback_id FROM revoked WHERE at_ms <= ?))"
        " SELECT verdict, count(*) FROM stood WHERE id IN (SELECT max(id) FROM stood GROUP BY frame_id, operator)"
        " AND id > ? GROUP BY verdict",
        span.through,
        until_ms,
        span.after,
    )
    return {row[0]: row[1] for row in rows}


def held_lessons(ledger: Ledger, limit: int) -> list[HeldLesson]:
    """The newest lessons that made no version, newest first."""
    rows = ledger.database.rows(
        "SELECT at_ms, base, reason FROM lessons WHERE version IS NULL ORDER BY id DESC LIMIT ?", limit
    )
    return [HeldLesson(*row) for row in rows]
