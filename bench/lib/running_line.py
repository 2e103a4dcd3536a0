"""A line as it is installed: `driftline run` as a process, a Redis, and what `driftline status` reads of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import redis

from bench.lib import processes
from daemon.ledger.ledger import Ledger
from daemon.settings.load import Settings

READY_S = 120.0


class RunningLine:
    """A taught line that runs as a process of its own."""

    def __init__(self, settings: Settings, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.log = folder / f"{settings.line}.log"
        config = folder / f"{settings.line}.json"  # JSON is YAML
        config.write_text(json.dumps(settings.model_dump(mode="json")))
        command = [*processes.DRIFTLINE, "run", "--config", str(config)]
        self.began_s = time.monotonic()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, cwd=folder, env=processes.HERE | dict(environ or {})
            )
        self._client = redis.Redis.from_url(settings.redis.url, protocol=2)

    def report(self) -> dict[str, Any]:
        """What the service last reported, and whether it runs, as every other process reads it."""
        if not (self.settings.state_dir / "ledger.sqlite").exists():
            return {"running": False}
        ledger = Ledger(self.settings.state_dir / "ledger.sqlite")
        try:
            return ledger.service(self.settings.schedule.fresh_s)
        finally:
            ledger.close()

    def ready_s(self) -> float:
        """Seconds from the start of its process until it reported itself ready."""
        before = self.report().get("moment")
        while time.monotonic() - self.began_s < READY_S:
            told = self.report()
            if told.get("moment") != before and told.get("probe_ms") is not None and not told["trouble"]:
                return time.monotonic() - self.began_s
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise SystemExit(f"it was not ready; it said:\n{self.log.read_text(errors='replace')[-3000:]}")

    def send(self, frame_id: str, image: bytes) -> None:
        """Put a frame on the line."""
        fields: dict[Any, Any] = {"frame_id": frame_id, "image": image}
        self._client.xadd(f"{self.settings.redis.prefix}:{self.settings.line}:frames", fields)

    def judged(self) -> int:
        """The frames in the ledger."""
        with contextlib.closing(sqlite3.connect(self.settings.state_dir / "ledger.sqlite")) as ledger:
            return int(ledger.execute("SELECT count(*) FROM frames").fetchone()[0])

    def until_judged(self, frames: int, most_s: float = 120.0) -> None:
        """Wait until so many frames were judged."""
        until_s = time.monotonic() + most_s
        while self.judged() < frames:
            if time.monotonic() > until_s:
                raise SystemExit(f"{self.judged()} of {frames} frames were judged within {most_s:.0f} s")
            time.sleep(0.02)

    def memory_bytes(self) -> int:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """Its open files."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208  # names are enough

    def ended(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(sent)
        return self.process.wait(READY_S)


@contextlib.contextmanager
def running(settings: Settings, folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[RunningLine]:
    """A line that runs meanwhile, and is killed if it did not end by itself."""
    line = RunningLine(settings, folder, environ)
    try:
        yield line
    finally:
        if line.process.poll() is None:
            line.ended(signal.SIGKILL)
