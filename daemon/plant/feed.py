"""What a plant's wire is told of the line: verdicts from the ledger, each at least once, and the line's condition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon import build
from daemon.config import Settings
from daemon.ledger import Ledger
from daemon.wire import Wire, WireLost

POLL_S = 0.02
CONDITION_S = 0.1
BATCH = 100
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
    """A line as the plant sees it. Reads the ledger as every other process does, so nothing waits for a wire."""

    def __init__(self, settings: Settings, ledger: Ledger, streams: Wire) -> None:
        self.settings = settings
        self.line = settings.line
        self.condition = Condition()
        self._ledger = ledger
        self._streams = streams
        self._folder = settings.state_dir / "plant"

    async def watch(self) -> None:
        """Keep `condition` fresh until cancelled."""
        while True:
            self.condition = await asyncio.to_thread(self._look)
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
                seq = row["seq"]
                if missed:
                    await asyncio.to_thread(cursor.write, seq)
            if not rows:
                await asyncio.sleep(POLL_S)

    async def put(self, fields: dict[str, str | bytes]) -> None:
        """Put a frame on the line. Raises WireLost without Redis."""
        await asyncio.to_thread(self._streams.send, "frames", fields)

    def tell(self, kind: str, **detail: Any) -> None:
        """Record an event."""
        self._ledger.event(build.clock_ms(), kind, **detail)

    def _look(self) -> Condition:
        said = self._ledger.service(build.clock_ms(), self.settings.schedule.fresh_ms)
        troubles = [f"{what} is away" for what in said.get("trouble") or {}]
        busy = False
        try:
            busy = self._streams.waiting("frames") > 0
        except WireLost:
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
        """The sequence number last taken; None where nothing was."""
        return int(self.path.read_text()) if self.path.exists() else None

    def write(self, seq: int) -> None:
        """Remember it. A power cut may lose the newest, which are then told again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".fresh")
        fresh.write_text(str(seq))
        fresh.replace(self.path)
