"""What a plant's wire is told of the line: verdicts from the ledger, each at least once, and the line's condition."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from daemon import clock
from daemon.ledger.database import DISK_ERRORS
from daemon.ledger.ledger import Ledger
from daemon.settings.load import Settings
from daemon.streams import RedisLost, RedisStreams, Stream
from memory.durable import drafted, sync

log = structlog.get_logger()
POLL_S = 0.02
CONDITION_S = 0.1
BATCH = 100
DIGITS = 20
VERDICT = (
    "SELECT seq, frame_id, part_id, verdict, reason, score, threshold, p_value, version, judged_ms"
    " FROM line_frames WHERE seq > ? ORDER BY seq LIMIT ?"
)


@dataclass(frozen=True)
class Condition:
    """How the line is: whether its service `running`s with a `version` that has scored a probe image, whether frames
    wait (`busy`), how far the scene is trusted, and what is wrong, in words."""

    running: bool = False
    version: int | None = None
    probed: bool = False
    busy: bool = False
    trust: str = "unknown"
    troubles: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether a frame that comes now is judged."""
        return self.running and self.version is not None and self.probed and not self.troubles


class Feed:
    """A line as the plant sees it. Reads the ledger as every other process does, so nothing waits for a wire. `taken`
    is the newest verdict that each wire has taken."""

    def __init__(self, settings: Settings, ledger: Ledger, streams: RedisStreams) -> None:
        self.settings = settings
        self.line = settings.line
        self.condition = Condition()
        self.taken: dict[str, int] = {}
        self._ledger = ledger
        self._streams = streams
        self._folder = settings.state_dir / "plant"

    async def watch(self) -> None:
        """Keep `condition` fresh until cancelled."""
        while True:
            try:
                self.condition = await asyncio.to_thread(self._look)
            except Exception as error:  # a full disk, no more files: the wires say so, and it is tried again
                self.condition = Condition(troubles=(f"the line cannot be seen: {error}",))
            await asyncio.sleep(CONDITION_S)

    async def verdicts(self, wire: str, *, missed: bool) -> AsyncIterator[dict[str, Any]]:
        """Verdicts as they are recorded, oldest first, from now on. One that `missed` verdicts matter to gets those
        first that it had not taken when it stopped: one has been taken once the next is asked for, and is given again
        otherwise."""
        cursor = Cursor(self._folder / f"{wire}.cursor")
        seq = cursor.read() if missed else None
        if seq is None:
            newest = await asyncio.to_thread(self._ledger.one, "SELECT coalesce(max(seq), 0) AS seq FROM frames")
            seq = int(newest["seq"]) if newest else 0
            if missed:
                await asyncio.to_thread(cursor.write, seq)
        while True:
            rows = await asyncio.to_thread(self._ledger.all, VERDICT, seq, BATCH)
            for row in rows:
                yield dict(row)
                seq = self.taken[wire] = row["seq"]
                if missed:
                    await asyncio.to_thread(cursor.write, seq)
            if not rows:
                await asyncio.sleep(POLL_S)

    async def put(self, fields: dict[str, str | bytes]) -> None:
        """Put a frame on the line. Raises WireLost without Redis."""
        await asyncio.to_thread(self._streams.send, Stream.FRAMES, fields)

    def tell(self, kind: str, **detail: Any) -> None:
        """Record an event; the log has it where the disk does not take it."""
        try:
            self._ledger.event(clock.unix_ms(), kind, **detail)
        except DISK_ERRORS as error:
            log.error("event not recorded", kind=kind, detail=detail, reason=str(error))

    def _look(self) -> Condition:
        said = self._ledger.service(clock.unix_ms(), self.settings.schedule.fresh_ms)
        troubles = [f"{what} is away" for what in said.get("trouble") or {}]
        busy = False
        try:
            busy = self._streams.waiting(Stream.FRAMES) > 0
        except RedisLost:
            troubles = sorted({*troubles, "redis is away"})
        return Condition(
            running=said["running"],
            version=said.get("version"),
            probed=said.get("probe_ms") is not None,
            busy=busy,
            trust=(said.get("drift") or {}).get("trust", "unknown"),
            troubles=tuple(troubles),
        )


@dataclass(frozen=True)
class Cursor:
    """How far a wire has come, in a file of its own: a write to the ledger would make the scorer wait."""

    path: Path

    def read(self) -> int | None:
        """The sequence number last taken; None where nothing was, or what is there is no number."""
        if not self.path.exists():
            return None
        held = self.path.read_bytes()
        # Earlier ones had no zeros in front; what begins with one and is shorter has lost its end.
        if held.isdigit() and (len(held) == DIGITS or not held.startswith(b"0")):
            return int(held)
        log.error("cursor unreadable: the wire begins with the next verdict", file=str(self.path))
        return None

    def write(self, seq: int) -> None:
        """Remember it, over what was there: one sector, so a power cut leaves the new or an old one, and verdicts since
        that are told again. The first one is on disk at once."""
        held = str(seq).zfill(DIGITS).encode()
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            drafted(self.path, held).replace(self.path)
            sync(self.path.parent)
            sync(self.path.parent.parent)
            return
        file = os.open(self.path, os.O_WRONLY)
        try:
            os.pwrite(file, held, 0)
        finally:
            os.close(file)
