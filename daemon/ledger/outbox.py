"""A verdict as the wire carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.ledger.ledger import Row


def verdict_fields(row: Row) -> dict[str, str | bytes]:
    """A verdict as the verdicts stream carries it: flat text fields, absent where unknown."""
    fields: Mapping[str, Any] = {
        "frame_id": row["frame_id"],
        "part_id": row["part_id"],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "score": None if row["score"] is None else repr(row["score"]),
        "p_value": row["p_value"],
        "threshold": None if row["threshold"] is None else repr(row["threshold"]),
        "version": row["version"],
        "nearest": row["nearest"],
        "drift": row["drift"],
        "map": row["kept"] if row["score"] is not None else None,
        "asked": row["asked"],
        "timings": row["timings"],
        "judged_ms": row["judged_ms"],
    }
    return {name: str(value) for name, value in fields.items() if value is not None}
