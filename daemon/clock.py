"""Unix time in milliseconds, the clock of every process, and its text for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def unix_ms() -> int:
    """The time now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """A Unix time in ms as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def from_iso(iso_time: str) -> int:
    """A time in ISO 8601 as Unix time in ms."""
    return round(datetime.fromisoformat(iso_time).timestamp() * 1000)


def minute(at_ms: int) -> str:
    """A Unix time in ms for people: in UTC, to the minute."""
    return to_the_minute(iso(at_ms))


def to_the_minute(iso_time: str) -> str:
    """A time in ISO 8601 for people."""
    return iso_time[:16].replace("T", " ")
