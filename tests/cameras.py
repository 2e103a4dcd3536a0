"""Cameras in tests: closed in the end, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from daemon.intake.cameras import Camera


@contextmanager
def watched(camera: Camera) -> Iterator[Camera]:
    try:
        yield camera
    finally:
        camera.close()


def until(holds: Callable[[], object]) -> None:
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to pass")
