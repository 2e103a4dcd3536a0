"""Cameras in tests: closed in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.intake.cameras import Camera


@contextmanager
def watched(camera: Camera) -> Iterator[Camera]:
    try:
        yield camera
    finally:
        camera.close()
