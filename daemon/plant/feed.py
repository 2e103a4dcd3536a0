"""The feed of a plant's connectors: verdicts from the ledger, each at least once, and the line's condition."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from daemon import clock
from daemon.ledger.database import DISK_ERRORS
from daemon.ledger.frame_list import verdicts_since
from daemon.ledger.frames import last_seq
from daemon.ledger.history import events_since, newest_events
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import SHIFT_REPORTED, PlantVerdict, RecordedEvent
from daemon.settings.load import Settings
from daemon.status import ServiceStatus, service_status
from daemon.streams import RedisLost, RedisStreams, Stream
from memory.durable import sync, write_draft

log = structlog.get_logger()
POLL_S, REPORTS_S = 0.02, 1.0
CONDITION_S = 0.1
BATCH = 100
DIGITS = 20
T = TypeVar("T")


@dataclass(frozen=True)
class Condition:
    """The condition of a line: the status of its service, and whether frames wait (`busy`)."""

    status: ServiceStatus = field(default_factory=ServiceStatus)
    busy: bool = False


class Feed:
    """A line's verdicts and condition for connectors. It reads the ledger as every other process does, so nothing waits
    for a connector. `taken` is the newest record that each connector has taken."""

    def __init__(self, settings: Settings, ledger: Ledger, streams: RedisStreams) -> None:
        self.settings = settings
        self.line = settings.line
        self.condition = Condition()
        self.taken: dict[str, int] = {}
        self._ledger = ledger
        self._streams = streams
        self._folder = settings.state_dir / "plant"

    async def follow_condition(self) -> None:
        """Keep `condition` fresh until cancelled."""
        while True:
            try:
                self.condition = await asyncio.to_thread(self.read_condition)
            except Exception as error:  # a full disk, no more files: the connectors report it, and it is tried again
                unseen = {"line": f"the line cannot be seen: {error}"}
                self.condition = Condition(ServiceStatus(troubles=unseen))
            await asyncio.sleep(CONDITION_S)

    def verdicts(self, connector: str, *, missed: bool) -> AsyncIterator[PlantVerdict]:
        """Verdicts as they are recorded, oldest first, from now on. With `missed`, first come those that the connector
        had not taken when it stopped: a verdict is taken once the next is asked for, and comes again otherwise."""
        newest, since = partial(last_seq, self._ledger), partial(verdicts_since, self._ledger, limit=BATCH)
        return self._new(connector, newest, since, lambda verdict: verdict.seq, POLL_S, missed=missed)

    def reports(self, connector: str) -> AsyncIterator[RecordedEvent]:
        """Reports of shifts likewise, with those that were missed."""

        def newest() -> int:
            before = newest_events(self._ledger, (SHIFT_REPORTED,), 1)
            return before[0].id if before else 0

        since = partial(events_since, self._ledger, kind=SHIFT_REPORTED, limit=BATCH)
        return self._new(connector, newest, since, lambda event: event.id, REPORTS_S, missed=True)

    async def _new(
        self,
        connector: str,
        newest: Callable[[], int],
        since: Callable[[int], Sequence[T]],
        number: Callable[[T], int],
        poll_s: float,
        *,
        missed: bool,
    ) -> AsyncIterator[T]:
        cursor = Cursor(self._folder / f"{connector}.cursor")
        at = cursor.read() if missed else None
        if at is None:
            at = await asyncio.to_thread(newest)
            if missed:
                await asyncio.to_thread(cursor.write, at)
        while True:
            found = await asyncio.to_thread(since, at)
            for one in found:
                yield one
                at = self.taken[connector] = number(one)
                if missed:
                    await asyncio.to_thread(cursor.write, at)
            if not found:
                await asyncio.sleep(poll_s)

    async def put(self, fields: dict[str, str | bytes]) -> None:
        """Put a frame on the line. Raises RedisLost without Redis."""
        await asyncio.to_thread(self._streams.send, Stream.FRAMES, fields)

    def record_event(self, kind: str, **detail: Any) -> None:
        """Record an event; it is only logged where the disk refuses."""
        try:
            self._ledger.event(clock.unix_ms(), kind, **detail)
        except DISK_ERRORS as error:
            log.error("event not recorded", kind=kind, detail=detail, reason=str(error))

    def read_condition(self) -> Condition:
        """The line's condition now. Raises sqlite3.OperationalError or OSError where the disk refuses."""
        reported = self._ledger.service(self.settings.schedule.fresh_s)
        try:
            waiting, redis_answers = self._streams.waiting(Stream.FRAMES), True
        except RedisLost:
            waiting, redis_answers = False, self._streams.answers()  # it may be there, and know no stream yet
        return Condition(service_status(reported, redis_answers=redis_answers), waiting)


@dataclass(frozen=True)
class Cursor:
    """The last verdict that a connector has taken, in a file of its own: a write to the ledger would make scoring
    wait."""

    path: Path

    def read(self) -> int | None:
        """The sequence number last taken; None where none was, or the file holds no number."""
        if not self.path.exists():
            return None
        digits = self.path.read_bytes()
        # Earlier ones had no zeros in front; what begins with one and is shorter has lost its end.
        if digits.isdigit() and (len(digits) == DIGITS or not digits.startswith(b"0")):
            return int(digits)
        log.error("cursor unreadable: the connector begins with the next verdict", file=str(self.path))
        return None

    def write(self, seq: int) -> None:
        """Write the number over the old one: it is one sector, so a power cut leaves the new or an old one, and
        verdicts since that are repeated. The first number is on disk when this returns."""
        digits = str(seq).zfill(DIGITS).encode()
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_draft(self.path, digits).replace(self.path)
            sync(self.path.parent)
            sync(self.path.parent.parent)
            return
        file = os.open(self.path, os.O_WRONLY)
        try:
            os.pwrite(file, digits, 0)
        finally:
            os.close(file)
