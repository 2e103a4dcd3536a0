"""Judged frames as pages and the plant's connectors list them; imported frames, which never passed the line, are not
among them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from daemon.ledger.database import Row
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import PlantVerdict
from daemon.ledger.rows import plant_verdict
from policies.ask import question
from policies.verdict import Verdict

NAMED = (
    "seq IN (SELECT seq FROM frames WHERE frame_id BETWEEN ? AND ?"
    " UNION SELECT seq FROM frames WHERE part_id BETWEEN ? AND ?)"
)
LAST = "\U0010ffff"  # sorts after all other characters


@dataclass(frozen=True)
class ListedFrame:
    """A judged frame as pages list it; fields as in `JudgedFrame`."""

    seq: int
    frame_id: str
    part_id: str
    judged_ms: int
    verdict: Verdict
    reason: str
    score: float | None
    threshold: float | None
    p_value: float | None
    version: int | None
    asked: bool
    answered: bool
    question: str


LISTED = tuple(field.name for field in fields(ListedFrame) if field.name != "question")


@dataclass(frozen=True)
class Search:
    """Which frames are looked for: those before sequence number `before`, with this `verdict`, judged until a time
    (Unix, ms), whose own or part's id begins with `name`, without an answer that counts, and with one of this person's
    that stands; None and False let all pass.
    """

    before: int | None = None
    verdict: str | None = None
    until_ms: int | None = None
    name: str | None = None
    unanswered: bool = False
    answered_by: str | None = None


def listed_frame(row: Row) -> ListedFrame:
    """A row of `frames`, of which pages need few columns."""
    plain = {name: row[name] for name in LISTED}
    verdict, trial = Verdict(row["verdict"]), row["trial"]
    disputed = trial is not None and trial != verdict
    why = question(verdict, row["p_value"], audited=row["audited"], disputed=disputed, unconfirmed=row["unconfirmed"])
    return ListedFrame(
        **plain | {"verdict": verdict, "asked": bool(row["asked"]), "answered": bool(row["answered"]), "question": why}
    )


def frames_found(ledger: Ledger, search: Search, limit: int) -> list[ListedFrame]:
    """The newest frames that are looked for, newest first."""
    wanted: list[tuple[str, tuple[int | str, ...]]] = [("seq < ?", (search.before or 2**62,))]
    if search.verdict:
        wanted.append(("verdict = ?", (search.verdict,)))
    if search.until_ms is not None:
        wanted.append(("judged_ms <= ?", (search.until_ms,)))
    if search.name:
        wanted.append((NAMED, (search.name, search.name + LAST) * 2))
    if search.unanswered:
        wanted.append(("NOT answered", ()))
    if search.answered_by:
        wanted.append(("frame_id IN (SELECT frame_id FROM standing WHERE operator = ?)", (search.answered_by,)))
    where = " AND ".join(condition for condition, _ in wanted)
    rows = ledger.database.rows(
        f"SELECT * FROM line_frames WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608  # our own conditions
        *(value for _, values in wanted for value in values),
        limit,
    )
    return [listed_frame(row) for row in rows]


def frames_since(ledger: Ledger, seq: int, limit: int) -> list[ListedFrame]:
    """Frames judged after a sequence number, oldest first."""
    rows = ledger.database.rows("SELECT * FROM line_frames WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit)
    return [listed_frame(row) for row in rows]


def verdicts_since(ledger: Ledger, seq: int, limit: int) -> list[PlantVerdict]:
    """Verdicts recorded after a sequence number, oldest first."""
    rows = ledger.database.rows("SELECT * FROM line_frames WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit)
    return [plant_verdict(row) for row in rows]


def count_scored_since(ledger: Ledger, at_ms: int) -> int:
    """The number of frames scored after a time (Unix, ms)."""
    query = "SELECT count(*) FROM line_frames WHERE score IS NOT NULL AND judged_ms > ?"
    return ledger.database.number(query, at_ms)


def judging_times(ledger: Ledger, limit: int) -> list[float]:
    """The times (ms) that judging the newest frames took, newest first."""
    rows = ledger.database.rows("SELECT timings FROM line_frames ORDER BY seq DESC LIMIT ?", limit)
    return [json.loads(row["timings"])["judge_ms"] for row in rows]
