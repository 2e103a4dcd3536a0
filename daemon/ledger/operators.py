"""Queries about how operators answer: known parts that they were shown, and how long they looked.

A known part is one where all answers that count, each by somebody else, say the same, and the verdict agrees: a
rejected part that people call a defect, or a passed part that lies within the nearer half of good parts.
"""

from __future__ import annotations

from daemon.ledger.frame_list import ListedFrame, listed_frame
from daemon.ledger.ledger import Ledger
from policies.reliability import NEWEST_CHECKS, NEWEST_LOOKS, Look, TrackRecord
from policies.verdict import Label

RECENT = 1_000


def answers_of_each(ledger: Ledger) -> dict[str, int]:
    """Everybody who ever answered, in alphabetical order, with the number of answers."""
    rows = ledger.database.rows("SELECT operator, count(*) FROM feedback GROUP BY operator ORDER BY operator")
    return {row[0]: row[1] for row in rows}


def track_record(ledger: Ledger, operator: str) -> TrackRecord:
    """How an operator's newest answers were given, revoked ones aside. A known part counts as long as all others who
    answered about it agree."""
    agreed = ledger.database.rows(
        "WITH checks AS (SELECT * FROM answers WHERE operator = ? AND effect = 'check' AND revoked_by IS NULL"
        "  ORDER BY id DESC LIMIT ?)"
        " SELECT checks.verdict = min(other.verdict) AS agreed FROM checks JOIN counting AS other"
        "  ON other.frame_id = checks.frame_id AND other.operator <> checks.operator"
        " GROUP BY checks.id HAVING min(other.verdict) = max(other.verdict)",
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


def answers_since_check(ledger: Ledger, operator: str, most: int) -> int:
    """The number of an operator's answers since the last known part, counted up to `most`."""
    return ledger.database.number(
        "SELECT count(*) FROM (SELECT 1 FROM feedback WHERE operator = ?1 AND id >"
        " (SELECT coalesce(max(id), 0) FROM feedback WHERE operator = ?1 AND effect = 'check') LIMIT ?2)",
        operator,
        most,
    )


def known_parts(ledger: Ledger, operator: str) -> dict[Label, ListedFrame]:
    """For each label, the part known longest of those that the newest `RECENT` answers are about and this operator has
    said nothing about, its image kept."""
    rows = ledger.database.rows(
        "WITH recent AS (SELECT frame_id FROM feedback WHERE id > (SELECT max(id) - ?1 FROM feedback)"
        "  EXCEPT SELECT frame_id FROM feedback WHERE operator = ?2),"
        " known AS (SELECT frame_id, min(verdict) AS label, min(id) AS since FROM counting"
        "  WHERE frame_id IN recent GROUP BY frame_id HAVING min(verdict) = max(verdict))"
        " SELECT frames.*, label, min(since) FROM known JOIN frames USING (frame_id)"
        "  WHERE kept IS NOT NULL AND (verdict = 'NG' AND label = 'defect' OR"
        "   verdict = 'OK' AND p_value >= 0.5 AND label = 'good') GROUP BY label",
        RECENT,
        operator,
    )
    return {Label(row["label"]): listed_frame(row) for row in rows}
