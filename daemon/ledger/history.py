"""Queries about events, lessons, versions, and confirmations that were set aside."""

from __future__ import annotations

import json

from daemon.ledger.ledger import Ledger
from daemon.ledger.records import RecordedEvent, SetAside
from daemon.ledger.rows import recorded_event


def is_quiet(ledger: Ledger) -> bool:
    """Whether it was told that the line rejects nothing, and not that this is over."""
    told = newest_events(ledger, ("line_quiet", "line_quiet_over"), 1)
    return bool(told) and told[0].kind == "line_quiet"


def newest_events(ledger: Ledger, kinds: tuple[str, ...], limit: int) -> list[RecordedEvent]:
    """The newest events of these kinds, newest first."""
    rows = ledger.database.rows(
        "SELECT * FROM events WHERE kind IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT ?",
        json.dumps(kinds),
        limit,
    )
    return [recorded_event(row) for row in rows]


def events_since(ledger: Ledger, number: int, kind: str, limit: int) -> list[RecordedEvent]:
    """Events of one kind after the one of this number, oldest first."""
    query = "SELECT * FROM events WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"
    return [recorded_event(row) for row in ledger.database.rows(query, kind, number, limit)]


def learned_through(ledger: Ledger) -> int:
    """The last answer that any lesson took into account, committed or held; 0 before the first lesson."""
    return ledger.database.number("SELECT max(through) FROM lessons")


def learned_in(ledger: Ledger, answer: int) -> int | None:
    """The first version of which a lesson took this answer into account; None where none is on record."""
    row = ledger.database.row("SELECT min(version) FROM lessons WHERE through >= ?", answer)
    return row[0] if row else None


def last_lesson_ms(ledger: Ledger) -> int | None:
    """The time of the newest lesson (Unix, ms); None before the first."""
    row = ledger.database.row("SELECT max(at_ms) FROM lessons")
    return row[0] if row else None


def knows_version(ledger: Ledger, number: int) -> bool:
    """Whether a version was recorded."""
    return ledger.database.row("SELECT 1 FROM versions WHERE number = ?", number) is not None


def set_aside(ledger: Ledger) -> list[SetAside]:
    """Confirmations that are not proposed again, in the order in which they were set aside."""
    return [
        SetAside(*row) for row in ledger.database.rows("SELECT frame_id, at_ms, reason FROM quarantine ORDER BY at_ms")
    ]


def set_aside_of(ledger: Ledger, frame_id: str) -> SetAside | None:
    """The record of a frame's confirmation that was set aside; None where it was not."""
    row = ledger.database.row("SELECT frame_id, at_ms, reason FROM quarantine WHERE frame_id = ?", frame_id)
    return SetAside(*row) if row else None
