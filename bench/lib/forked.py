"""A process forked from this one, where every library is imported already: it starts in milliseconds."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path


class Forked:
    """A child that calls something and ends; what goes wrong is written to a file."""

    def __init__(self, call: Callable[[], object], log: Path) -> None:
        self._log = log
        self._status: int | None = None
        self._pid = os.fork()
        if self._pid:
            return
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        try:
            call()
        except BaseException:
            os.write(out, traceback.format_exc().encode())
            os._exit(1)
        os._exit(0)

    def running(self) -> bool:
        """Whether it still runs."""
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is None

    def killed(self) -> bool:
        """Kill −9. Returns whether it had ended by itself, and well."""
        if self.running():
            os.kill(self._pid, signal.SIGKILL)
            self._status = os.waitpid(self._pid, 0)[1]
        if self._status == signal.SIGKILL:
            return False
        self._check()
        return True

    def ended(self, most_s: float = 600) -> None:
        """Wait until it has ended; ends this process with what it said where that was not well."""
        until_s = time.monotonic() + most_s
        while self.running():
            if time.monotonic() > until_s:
                os.kill(self._pid, signal.SIGKILL)
                raise SystemExit(f"it did not end within {most_s:.0f} s; it said:\n{self._said()}")
            time.sleep(0.02)
        self._check()

    def _check(self) -> None:
        if self._status:
            raise SystemExit(f"it failed with status {self._status}; it said last:\n{self._said()}")

    def _said(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-40:])
