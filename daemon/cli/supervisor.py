"""The supervisor that a service reports to, as sd_notify(3) has it: a datagram, which needs no library."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping


class Supervisor:
    """The supervisor that started this process; without one, or where it does not listen, nothing is told."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 / 3
        self._told_s = -self._every_s

    def ready(self) -> None:
        """The service is up, or has read its settings anew."""
        self._tell("READY=1")

    def alive(self) -> None:
        """The thread that judges turns; told three times in the time after which it would be started anew."""
        now_s = time.monotonic()
        if self._every_s and now_s - self._told_s >= self._every_s:
            self._told_s = now_s
            self._tell("WATCHDOG=1")

    def reloading(self) -> None:
        """The service reads its settings anew."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service finishes."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(state.encode(), address)
