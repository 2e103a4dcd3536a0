"""The process that computes for the console: it begins when somebody teaches, tries or compares, and ends when nobody
does. So the console itself needs no network and no bank, and gives back what a lesson took."""

from __future__ import annotations

import asyncio
import shutil
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import httpx
import structlog

from memory.errors import DriftlineError

WARM = "/warm"  # asked for it, the worker loads its network
ENDING = "x-worker-ends"  # the header of what it has not looked at, since it ends
START_S, LOOK_S, STOP_S = 60.0, 0.05, 25.0
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
        self._stopped = False

    @property
    def running(self) -> bool:
        """Whether there is one now."""
        return self._process is not None and self._process.returncode is None

    async def client(self) -> tuple[httpx.AsyncClient, Process]:
        """A client of the worker, and its process; it is started if there is none. Raises WorkerLost."""
        async with self._starting:
            if self._stopped:
                raise lost("none: the console is being stopped")
            if not self.running or self._client is None or self._process is None:
                await self._end(0.0)
                return await self._start()
            return self._client, self._process

    async def stop(self) -> None:
        """End the worker, with what it works at, for good."""
        async with self._starting:
            self._stopped = True
            await self._end(STOP_S)

    async def _start(self) -> tuple[httpx.AsyncClient, Process]:
        self._folder = Path(mkdtemp(prefix="driftline-"))  # which no other user may enter
        socket = self._folder / "worker"
        # Ctrl-C is for the console, which ends it.
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, str(socket), stdin=PIPE, start_new_session=True
        )
        try:
            assert process.stdin is not None  # noqa: S101  # a pipe was asked for
            process.stdin.write(f"{self._settings}\n".encode())
            until_s = time.monotonic() + START_S
            while not await _answers(socket):
                if process.returncode is not None or time.monotonic() > until_s:
                    gone = process.returncode is not None
                    raise lost(f"none: its process {'ended' if gone else 'does not answer'}")
                await asyncio.sleep(LOOK_S)
        except BaseException:
            await self._end(0.0)
            raise
        log.info("worker started", pid=process.pid)
        # A connection costs nothing here, and one that is kept may be closed by the worker in the moment it is used.
        transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_keepalive_connections=0))
        self._client = client = httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113  # it may teach
        return client, process

    async def _end(self, wait_s: float) -> None:
        """Ask the process to end, if there is one, wait for that so long, and kill it then; nothing of it is left."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), wait_s)
            except TimeoutError:
                with suppress(ProcessLookupError):  # it has ended meanwhile
                    process.kill()
                await process.wait()
            log.info("worker ended", pid=process.pid, status=process.returncode)
        if self._client is not None:
            await self._client.aclose()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._client = self._folder = self._process = None


async def _answers(socket: Path) -> bool:
    """Whether somebody listens on a socket."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


def lost(came: str) -> WorkerLost:
    """The error that the worker gave no answer, but what `came`."""
    return WorkerLost(
        expected="an answer of the process that computes for the console",
        came=came,
        do="try again; its last words are in the console's log, and a PC with too little memory ends it",
    )
