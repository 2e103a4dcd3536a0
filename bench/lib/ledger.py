"""What benchmarks read from a line's ledger: the one place of theirs that knows its rows."""

from __future__ import annotations

import json
from dataclasses import dataclass

from daemon.ledger.ledger import Ledger, Row

HEAD = 20


@dataclass(frozen=True)
class Timing:
    """When a frame was judged, Unix time in ms, and how long that took."""

    frame_id: str
    judged_ms: int
    judge_ms: float


def timings(ledger: Ledger, name: str) -> list[Timing]:
    """The timings of all frames whose ids begin with a name, in order."""
    rows = ledger.all("SELECT * FROM frames WHERE frame_id LIKE ? ORDER BY seq", f"{name}-%")
    return [Timing(row["frame_id"], row["judged_ms"], json.loads(row["timings"])["judge_ms"]) for row in rows]


def kept(ledger: Ledger) -> list[Row]:
    """The first `HEAD` frames whose images are kept."""
    return ledger.all("SELECT * FROM frames WHERE kept IS NOT NULL ORDER BY seq LIMIT ?", HEAD)


def is_asked(frame: Row) -> bool:
    """Whether an operator is asked about a judged frame."""
    return bool(frame["asked"])


def is_running(ledger: Ledger) -> bool:
    """Whether the line's service has said that it runs."""
    return ledger.get_status("service") is not None
