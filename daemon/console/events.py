"""One reader of the ledger for all who watch: what is new is told to each, and a slow one holds up nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from daemon.console.reviews import frame_fields
from daemon.console.status_view import StatusView
from daemon.ledger.frame_list import frames_since
from daemon.ledger.frames import last_seq

POLL_S = 0.25
APART_S = 0.004
STATUS_EVERY = 8  # polls
BATCH = 50
WAITING = 100
MOST_WATCHING = 200
log = structlog.get_logger()


class EventBroadcaster:
    """Reads a line's newest frames and status while anybody watches."""

    def __init__(self, status: StatusView) -> None:
        self._status = status
        self._watching: set[asyncio.Queue[str | None]] = set()
        self._ending = False

    @property
    def crowded(self) -> bool:
        """Whether as many watch as may."""
        return len(self._watching) >= MOST_WATCHING

    @contextmanager
    def subscribed(self) -> Iterator[asyncio.Queue[str | None]]:
        """A queue of events as they are sent, and of None at the end. Whoever lets `WAITING` of them pile up
        loses the oldest."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        self._watching.add(queue)
        try:
            yield queue
        finally:
            self._watching.discard(queue)

    def end(self) -> None:
        """Let all who watch go, soon: from a signal handler, for the server waits for them before it stops."""
        self._ending = True

    async def run(self) -> None:
        """Read until cancelled or at its end."""
        newest, polls = None, 0
        while True:
            await asyncio.sleep(POLL_S)
            if self._ending:
                await self._tell(None)
                return
            if not self._watching:
                newest = None
                continue
            try:
                newest, text = await asyncio.to_thread(self._read, newest, polls % STATUS_EVERY == 0)
            except Exception:  # a full disk, no more files: told in the log, and tried again
                log.exception("news could not be read")
                continue
            polls += 1
            if text:
                await self._tell(text)

    def _read(self, newest: int | None, status: bool) -> tuple[int, str]:
        """The newest sequence number and what to tell: frames since the last, and the status if it is its turn."""
        ledger = self._status.line.state.ledger
        if newest is None:
            newest = last_seq(ledger)
        frames = frames_since(ledger, newest, BATCH)
        events = [_event("frame", frame_fields(frame)) for frame in frames]
        events += [_event("status", self._status.summary())] if status else []
        return frames[-1].seq if frames else newest, "".join(events)

    async def _tell(self, text: str | None) -> None:
        """Everything of one poll at once, so that fifty watchers of a fast line are few writes a second each; and one
        watcher after the other, for what all fifty ask for in the same moment a frame would have to wait for."""
        watching = tuple(self._watching)
        pause_s = min(APART_S, POLL_S / max(len(watching), 1)) if text else 0.0
        for queue in watching:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)
            await asyncio.sleep(pause_s)


def _event(kind: str, what: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(what, default=str)}\n\n"
