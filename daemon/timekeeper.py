"""A watch on the PC's clock, so that a jump of it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

JUMP_S = 2.0
LOOK_S = 1.0


class Timekeeper:
    """Compares the PC's clock with the monotonic one, which nobody can set.

    `jumped` is called with the seconds of every jump of more than `JUMP_S`, negative where it is backwards. The clock
    of a PC that slept has jumped forwards.
    """

    def __init__(self, jumped: Callable[[float], None]) -> None:
        self._jumped = jumped
        self._ahead_s = time.time() - time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="timekeeper", daemon=True)

    def start(self) -> None:
        """Begin to watch, in a thread of its own."""
        self._thread.start()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()
        self._thread.join()

    def look(self, wall_s: float, monotonic_s: float) -> None:
        """Compare the clocks as they are read together. Small steps add up: many make a jump too."""
        jump_s = wall_s - monotonic_s - self._ahead_s
        if abs(jump_s) > JUMP_S:
            self._ahead_s += jump_s
            self._jumped(jump_s)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look(time.time(), time.monotonic())
