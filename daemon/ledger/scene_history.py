"""The history of the scene: each signal as the monitor measured it, and when versions were made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.ledger.ledger import Ledger


@dataclass(frozen=True)
class SceneHistory:
    """The scene from `first_ms` to `last_ms` (Unix, ms): (time, drift state or None where nothing was measured) of
    evenly spaced frames, oldest first."""

    first_ms: int
    last_ms: int
    states: Sequence[tuple[int, Mapping[str, Any] | None]]


def scene_since(ledger: Ledger, at_ms: int, points: int) -> SceneHistory | None:
    """The scene after a time by about this many frames; None where no frame was judged since."""
    first = ledger.database.row("SELECT seq, judged_ms FROM line_frames WHERE judged_ms > ? ORDER BY judged_ms", at_ms)
    last = ledger.database.row("SELECT seq, judged_ms FROM line_frames ORDER BY seq DESC LIMIT 1")
    if first is None or last is None:
        return None
    every = max((last["seq"] - first["seq"]) // points, 1)
    wanted = range(last["seq"], first["seq"] - 1, -every)
    rows = ledger.database.rows(
        "SELECT judged_ms, drift FROM line_frames WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq",
        json.dumps(list(wanted)),
    )
    states = [(row["judged_ms"], json.loads(row["drift"]) or None) for row in rows]
    return SceneHistory(first["judged_ms"], last["judged_ms"], states)


def versions_made(ledger: Ledger) -> list[tuple[int, str]]:
    """Each version's number and when it was made (ISO 8601), oldest first."""
    rows = ledger.database.rows("SELECT number, created_at FROM versions ORDER BY number")
    return [(row["number"], row["created_at"]) for row in rows]
