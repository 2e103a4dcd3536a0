"""Processes that benchmarks start: driftline from this checkout, and a Redis server of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# This checkout first, whatever is installed and wherever the process runs.
HERE = os.environ | {"PYTHONPATH": str(ROOT)}
DRIFTLINE = (sys.executable, "-m", "daemon.cli.main")
TAIL_LINES = 20
START_S = 60


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    command: Sequence[str | Path], log: Path, *, cwd: Path | None = None, checkout: Path = ROOT
) -> subprocess.Popen[bytes]:
    """A process of a checkout, this one or another, all that it says added to a file."""
    with log.open("ab") as out:
        environ = HERE | {"PYTHONPATH": str(checkout)}
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=cwd or checkout, env=environ)


def ended(process: subprocess.Popen[bytes], what: str, log: Path) -> None:
    """Wait until a process ends; where it fails, end too, with what it said last."""
    if (status := process.wait()) != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
        raise SystemExit(f"{what} failed with status {status}; it said last:\n{tail}")


@contextmanager
def running(command: Sequence[str | Path], log: Path, *, checkout: Path = ROOT) -> Iterator[int]:
    """A process that runs meanwhile, by its id."""
    process = start(command, log, checkout=checkout)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def until_open(port: int) -> None:
    """Wait until something listens on a port of the loopback interface, `START_S` at most."""
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise SystemExit(f"nothing listened on port {port} within {START_S} s") from None
            time.sleep(0.05)
        else:
            return


def redis_command(folder: Path, port: int) -> list[str]:
    """The command of a redis-server on the loopback interface that saves nothing."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("no redis-server on the PATH: install it")
    return [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """A redis-server that runs meanwhile on the loopback interface and answers, by its port."""
    port = free_port()
    with running(redis_command(folder, port), folder / "redis.log"):
        until_open(port)
        yield port
