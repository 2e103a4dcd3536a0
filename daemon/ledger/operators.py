"""Queries about how operators answer: known parts that they were shown, and how long they looked.

A known part is one about which all answers that count, by other people, say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.ledger.frame_list import ListedFrame, listed_frame
from daemon.ledger.ledger import Ledger
from policies.reliability import NEWEST_CHECKS, NEWEST_LOOKS, Look, TrackRecord
from policies.verdict import Label

RECENT = 1_000  # answers, of all people, whose parts may be known ones


@dataclass(frozen=True)
class KnownPart:
    """A part with the label that people have given it."""

    frame: ListedFrame
    label: Label


def answers_of_each(ledger: Ledger) -> dict[str, int]:
    """Everybody who ever answered, in alphabetical order, with the number of answers."""
    rows = ledger.database.rows("SELECT operator, count(*) FROM feedback GROUP BY operator ORDER BY operator")
    return {row[0]: row[1] for row in rows}


def watched_operators(ledger: Ledger) -> list[str]:
    """Everybody of whom something is known that can cost trust, in alphabetical order."""
    rows = ledger.database.rows(
        "SELECT operator FROM feedback WHERE effect = 'check'"
        " UNION SELECT operator FROM feedback WHERE looked_ms IS NOT NULL ORDER BY operator"
    )
    return [row["operator"] for row in rows]


def checked_on(ledger: Ledger, frame_id: str) -> list[str]:
    """The operators who were checked by this frame, in alphabetical order."""
    rows = ledger.database.rows(
        "SELECT DISTINCT operator FROM feedback WHERE frame_id = ? AND effect = 'check' ORDER BY operator", frame_id
    )
    return [row["operator"] for row in rows]


def track_record(ledger: Ledger, operator: str) -> TrackRecord:
    """How an operator's newest answers were given, revoked ones aside. A known part, of which the newest word counts,
    tells as long as two other people or more have said something about it, and all the same."""
    agreed = ledger.database.rows(
        "WITH checks AS (SELECT frame_id, verdict, max(id) AS id FROM answers"
        "  WHERE operator = ?1 AND effect = 'check' AND revoked_by IS NULL GROUP BY frame_id"
        "  ORDER BY id DESC LIMIT ?2),"
        " words AS (SELECT frame_id, operator, verdict, max(id) FROM answers WHERE operator <> ?1"
        "  AND frame_id IN (SELECT frame_id FROM checks) AND revoked_by IS NULL AND effect <> 'unconfirmed'"
        "  GROUP BY frame_id, operator)"
        " SELECT checks.verdict = min(words.verdict) AS agreed FROM checks JOIN words USING (frame_id)"
        "  GROUP BY frame_id HAVING count(*) > 1 AND min(words.verdict) = max(words.verdict)",
        operator,
        NEWEST_CHECKS,
    )
    looks = ledger.database.rows(
        "SELECT verdict, looked_ms FROM answers WHERE operator = ? AND looked_ms IS NOT NULL AND revoked_by IS NULL"
        " ORDER BY id DESC LIMIT ?",
        operator,
        NEWEST_LOOKS,
    )
    return TrackRecord(
        checks=len(agreed),
        agreed=sum(row["agreed"] for row in agreed),
        looks=tuple(Look(Label(row["verdict"]), row["looked_ms"]) for row in looks),
    )


def known_parts_shown(ledger: Ledger, operator: str) -> int:
    """How many known parts an operator has ever answered for."""
    return ledger.database.number("SELECT count(*) FROM feedback WHERE operator = ? AND effect = 'check'", operator)


def answers_since_check(ledger: Ledger, operator: str, most: int) -> int:
    """The number of an operator's answers since the last known part, counted up to `most`."""
    return ledger.database.number(
        "SELECT count(*) FROM (SELECT 1 FROM feedback WHERE operator = ?1 AND id >"
        " (SELECT coalesce(max(id), 0) FROM feedback WHERE operator = ?1 AND effect = 'check') LIMIT ?2)",
        operator,
        most,
    )


def known_parts(ledger: Ledger, operator: str) -> list[KnownPart]:
    """The parts of the newest `RECENT` answers that are known and that this operator has said nothing about, their
    images kept and nobody else asked about them: first those about which most people have spoken, then the newest."""
    rows = ledger.database.rows(
        "WITH recent AS (SELECT DISTINCT frame_id FROM feedback WHERE id > (SELECT max(id) - ?1 FROM feedback)),"
        " known AS (SELECT frame_id, min(verdict) AS label, max(id) AS latest FROM counting"
        "  WHERE frame_id IN recent GROUP BY frame_id HAVING min(verdict) = max(verdict))"
        " SELECT line_frames.*, label FROM known JOIN line_frames USING (frame_id)"
        "  WHERE kept IS NOT NULL AND score IS NOT NULL AND NOT unconfirmed AND NOT EXISTS"
        "   (SELECT 1 FROM feedback WHERE feedback.frame_id = known.frame_id AND operator = ?2)"
        "  ORDER BY (SELECT count(DISTINCT operator) FROM feedback WHERE feedback.frame_id = known.frame_id) DESC,"
        "   latest DESC",
        RECENT,
        operator,
    )
    return [KnownPart(listed_frame(row), Label(row["label"])) for row in rows]
