"""Programs that the tests need and wait for, and Redis: a real server that may be killed, and one that is not there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

AT_ONCE = Retry(NoBackoff(), 0)  # redis-py's own clients wait for seconds before they say that nobody answers


def need(program: str) -> str:
    """The path of a program; without it the test is skipped, and fails under CI."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"expected {program} on the PATH, came none: install it")
    return path


def fresh_python(script: str) -> subprocess.CompletedProcess[str]:
    """What a script did in a process of its own, where nothing of ours is imported yet."""
    return subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )


def free_port() -> int:
    """A port on the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def absent_redis() -> redis.Redis:
    """A client whose server is not there."""
    return redis.Redis(port=1, socket_connect_timeout=0.1, retry=AT_ONCE)


def until(holds: Callable[[], object]) -> None:
    """Wait for something, ten seconds at most."""
    for _ in range(1_000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to pass")


class RealRedis:
    """A redis-server of our own on the loopback interface, which a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, with every write on disk, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            ],
            stdout=subprocess.DEVNULL,
        )
        with redis.Redis(port=self.port, protocol=2, retry=AT_ONCE) as client:
            for _ in range(1_000):
                try:
                    client.ping()
                except redis.ConnectionError:
                    time.sleep(0.01)
                else:
                    return
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        """Kill the server, as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        """A new client."""
        return redis.Redis.from_url(self.url, protocol=2, socket_timeout=5, socket_connect_timeout=1)
