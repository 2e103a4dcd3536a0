"""The process that computes for the console: it begins when somebody teaches, tries or compares, and ends when nobody
does. So the console itself needs no network and no bank, and gives back what a lesson took."""

from __future__ import annotations

import asyncio
import shutil
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import httpx
import structlog

from memory.errors import DriftlineError

WARM = "/warm"  # asked for it, the worker loads its network
START_S, LOOK_S, STOP_S, ENDS_S = 60.0, 0.05, 25.0, 5.0
log = structlog.get_logger()


class WorkerLost(DriftlineError):
    """The process that computes cannot be started, or has ended while it was asked."""


class Worker:
    """The console's worker: `command` and the path of a socket start it, it reads `settings` (JSON, a line), and
    answers HTTP on that socket until it is idle or its standard input is closed."""

    def __init__(self, command: Sequence[str], settings: str) -> None:
        self._command = command
        self._settings = settings
        self._process: Process | None = None
        self._client: httpx.AsyncClient | None = None
        self._folder: Path | None = None
        self._starting = asyncio.Lock()

    @property
    def running(self) -> bool:
        """Whether there is one now."""
        return self._process is not None and self._process.returncode is None

    async def client(self) -> httpx.AsyncClient:
        """A client of the worker, which is started if there is none. Raises WorkerLost."""
        async with self._starting:
            if not self.running or self._client is None:
                await self._forget()
                self._client = await self._started()
            return self._client

    async def ended(self) -> None:
        """Wait until a worker that answers no more has ended, which one that is idle does by itself; one that does not
        is killed."""
        process = self._process
        if process is not None:
            try:
                await asyncio.wait_for(process.wait(), ENDS_S)
            except TimeoutError:
                log.exception("worker answers no more", pid=process.pid)
                process.kill()
                await process.wait()

    async def stop(self) -> None:
        """End the worker, with what it works at."""
        async with self._starting:
            process = self._process
            if process is not None and process.stdin is not None and self.running:
                process.stdin.close()
                try:
                    await asyncio.wait_for(process.wait(), STOP_S)
                except TimeoutError:
                    process.kill()
                    await process.wait()
            await self._forget()

    async def _started(self) -> httpx.AsyncClient:
        self._folder = Path(mkdtemp(prefix="driftline-"))  # which no other user may enter
        socket = self._folder / "worker"
        # Ctrl-C is for the console, which ends it.
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, str(socket), stdin=PIPE, start_new_session=True
        )
        assert process.stdin is not None  # noqa: S101  # a pipe was asked for
        process.stdin.write(f"{self._settings}\n".encode())
        until_s = time.monotonic() + START_S
        while not socket.exists():
            if process.returncode is not None or time.monotonic() > until_s:
                raise lost(f"none: its process {'ended' if process.returncode is not None else 'does not answer'}")
            await asyncio.sleep(LOOK_S)
        log.info("worker started", pid=process.pid)
        return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(socket)), timeout=None)  # noqa: S113  # it may teach

    async def _forget(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._process is not None:
            log.info("worker ended", pid=self._process.pid, status=self._process.returncode)
        self._client = self._folder = self._process = None


def lost(came: str) -> WorkerLost:
    """The error that the worker gave no answer, but what `came`."""
    return WorkerLost(
        expected="an answer of the process that computes for the console",
        came=came,
        do="try again; its last words are in the console's log, and a PC with too little memory ends it",
    )
