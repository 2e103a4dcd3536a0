"""Server-sent events: one reader of the ledger serves all subscribers, and a slow one holds up nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from daemon.console.reviews import frame_fields
from daemon.console.status_view import StatusView
from daemon.languages.speaking import speaking, spoken
from daemon.ledger.frame_list import frames_since
from daemon.ledger.frames import last_seq

POLL_S = 0.25
APART_S = 0.004
STATUS_EVERY = 8  # polls
BATCH = 50
WAITING = 100
MOST_SUBSCRIBERS = 200
log = structlog.get_logger()


class EventBroadcaster:
    """Sends a line's newest frames and status to all subscribers, and reads the ledger only while there are any."""

    def __init__(self, status: StatusView) -> None:
        self._status = status
        self._queues: dict[asyncio.Queue[str | None], str] = {}
        self._ending = False
        self._polls = 0

    @property
    def crowded(self) -> bool:
        """Whether no more subscribers are allowed."""
        return len(self._queues) >= MOST_SUBSCRIBERS

    @contextmanager
    def subscribed(self) -> Iterator[asyncio.Queue[str | None]]:
        """A queue of events as text, in the language that is spoken now, and of None at the end. A subscriber that lets
        `WAITING` of them pile up loses the oldest. The next poll tells the status to all: a frame judged after a
        subscriber's first status is in its queue, so a list that is read after it leaves no gap."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        self._queues[queue] = spoken().code
        self._polls = 0
        try:
            yield queue
        finally:
            self._queues.pop(queue, None)

    def end(self) -> None:
        """End all subscriptions soon; may be called from a signal handler. The server waits for them before it
        stops."""
        self._ending = True

    async def run(self) -> None:
        """Read and send until cancelled or ended."""
        newest = None
        while True:
            await asyncio.sleep(POLL_S)
            if self._ending:
                await self._send({})
                return
            if not self._queues:
                newest = None
                continue
            status = self._polls % STATUS_EVERY == 0
            self._polls += 1
            try:
                newest, texts = await asyncio.to_thread(self._read, newest, status, frozenset(self._queues.values()))
            except Exception:  # a full disk, no more files: it is logged and tried again
                log.exception("news could not be read")
                self._polls = 0
                continue
            if any(texts.values()):
                await self._send(texts)

    def _read(self, newest: int | None, status: bool, codes: frozenset[str]) -> tuple[int, dict[str, str]]:
        """The newest sequence number, and the events in each of these languages: frames since `newest`, and the status
        where `status` is true."""
        ledger = self._status.line.state.ledger
        if newest is None:
            newest = last_seq(ledger)
        frames = frames_since(ledger, newest, BATCH)
        texts = {}
        for code in codes:
            with speaking(code):
                events = [_event("frame", frame_fields(frame)) for frame in frames]
                events += [_event("status", self._status.summary())] if status else []
            texts[code] = "".join(events)
        return frames[-1].seq if frames else newest, texts

    async def _send(self, texts: Mapping[str, str]) -> None:
        """Send the events of one poll together, each subscriber's in its language, or the end where there are none: so
        fifty subscribers to a fast line need few writes a second each. One subscriber comes after the other, since a
        frame would have to wait for what all fifty ask for at once."""
        queues = tuple(self._queues.items())
        pause_s = min(APART_S, POLL_S / max(len(queues), 1)) if texts else 0.0
        for queue, code in queues:
            if texts and code not in texts:
                continue  # it came while this was read: the next poll is its first
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(texts[code] if texts else None)
            await asyncio.sleep(pause_s)


def _event(kind: str, what: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(what, default=str)}\n\n"
