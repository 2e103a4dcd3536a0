"""Faults of what a line stands on: a Redis that is killed, paused, emptied or full, and a disk that is full."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import redis

from bench.lib import processes
from bench.lib.forked import Forked

PAUSES_S = (0.2, 1.5)
DISK_MB = 256  # room for a life with its backups
OF_REDIS = {
    "killed": "Redis killed −9 and started empty",
    "paused": "Redis paused",
    "flushed": "Redis flushed",
    "out_of_memory": "Redis out of memory",
}


class Redis:
    """A redis-server of this benchmark on the loopback interface, always at the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = processes.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Redis:
        self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def disturbed(self, life: Forked, fault: str, draw: random.Random) -> int:
        """Disturb it while a line lives. Returns how often."""
        times = 0
        while life.running():
            time.sleep(draw.uniform(*PAUSES_S))
            getattr(self, f"_{fault}")(draw)
            times += 1
        return times

    def _killed(self, draw: random.Random) -> None:
        self._end()
        time.sleep(draw.uniform(*PAUSES_S))
        self._start()

    def _paused(self, draw: random.Random) -> None:
        assert self._process is not None  # noqa: S101  # it was started
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(draw.uniform(*PAUSES_S))
        self._process.send_signal(signal.SIGCONT)

    def _flushed(self, _: random.Random) -> None:
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def _out_of_memory(self, draw: random.Random) -> None:
        with redis.Redis(port=self.port) as client:
            client.config_set("maxmemory", 1)
            time.sleep(draw.uniform(*PAUSES_S))
            client.config_set("maxmemory", 0)

    def _start(self) -> None:
        self._process = processes.start(processes.redis_command(self._folder, self.port), self._folder / "redis.log")
        processes.until_open(self.port)

    def _end(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a few megabytes."""

    path: Path

    def disturbed(self, life: Forked) -> int:
        """Fill it to the last byte again and again while a line lives. Returns how often."""
        times, filler = 0, self.path / "filler"
        while life.running():
            time.sleep(PAUSES_S[1])
            with contextlib.suppress(OSError), filler.open("wb") as out:
                while True:
                    out.write(bytes(65_536))
            time.sleep(PAUSES_S[1])
            filler.unlink(missing_ok=True)
            times += 1
        return times


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk | None]:
    """A tmpfs below `path`; None without the right to mount one."""
    path.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(path)]
    if mount is None or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", str(path)], check=True)
