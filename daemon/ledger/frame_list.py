"""Judged frames as pages and the plant's connectors list them; imported frames, which never passed the line, are not
among them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from daemon.ledger.database import Row
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import PlantVerdict
from daemon.ledger.rows import plant_verdict
from policies.verdict import Verdict


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


LISTED = tuple(field.name for field in fields(ListedFrame))


def listed_frame(row: Row) -> ListedFrame:
    """A row of `frames`, of which pages need few columns."""
    plain = {name: row[name] for name in LISTED}
    return ListedFrame(**plain | {"verdict": Verdict(row["verdict"]), "asked": bool(row["asked"])})


def frames_before(ledger: Ledger, seq: int | None, verdict: str | None, limit: int) -> list[ListedFrame]:
    """The newest frames, newest first: those before sequence number `seq` and with this `verdict`, where not None."""
    rows = ledger.database.rows(
        "SELECT * FROM line_frames WHERE seq < ? AND (? IS NULL OR verdict = ?) ORDER BY seq DESC LIMIT ?",
        seq or 2**62,
        verdict,
        verdict,
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
