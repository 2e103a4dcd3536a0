"""Unix time in milliseconds, its text for people, moments that nobody can set, and jumps of the PC's clock."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
JUMP_S = 2.0
LOOK_S = 1.0


@dataclass(frozen=True)
class Moment:
    """A moment by the monotonic clock, `at_s`, of one boot of the PC: all its processes agree on it, and nobody can set
    it. `boot` is empty where the system does not name its boots."""

    boot: str
    at_s: float

    def ago_s(self, now: Moment) -> float:
        """How long ago it was; infinitely long where that was before the PC was started anew."""
        same = self.boot == now.boot and self.at_s <= now.at_s
        return now.at_s - self.at_s if same else math.inf


def moment() -> Moment:
    """Now."""
    return Moment(_boot(), time.monotonic())


@cache
def _boot() -> str:
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""


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


class Timekeeper:
    """Compares the PC's clock with the monotonic one, which nobody can set.

    `jumped` is called with the seconds of every jump of more than `JUMP_S`, negative where it is backwards. The clock
    of a PC that slept has jumped forwards.
    """

    def __init__(self, jumped: Callable[[float], None]) -> None:
        self._jumped = jumped
        self._ahead_s = time.time() - time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="timekeeper", daemon=True)

    def start(self) -> None:
        """Begin to watch, in a thread of its own."""
        self._thread.start()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()
        self._thread.join()

    def look(self, wall_s: float, monotonic_s: float) -> None:
        """Compare the clocks as they are read together. Small steps add up: many make a jump too."""
        jump_s = wall_s - monotonic_s - self._ahead_s
        if abs(jump_s) > JUMP_S:
            self._ahead_s += jump_s
            self._jumped(jump_s)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look(time.time(), time.monotonic())
