"""A camera as a source of frames: what each kind of camera needs besides its driver.

The newest image is given, never a queue; a lost camera is tried again for ever.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import structlog

from daemon.intake.pixel_formats import Pixels
from daemon.intake.sources import Frame
from daemon.settings.load import ConfigError, Settings
from memory.errors import DriftlineError

READ_MS = 5_000
BACKOFF_FIRST_S, BACKOFF_LAST_S = 0.2, 10.0
POLL_S = 0.005
CLOSE_S = 5.0
PNG_HEADER_BYTES = 33  # its signature and its first chunk
log = structlog.get_logger()


class CameraLost(DriftlineError):
    """The camera cannot be opened, or gives no image any more."""


@dataclass(frozen=True)
class Picture:
    """A picture, and what came instead of a whole and fresh one: then it is answered UNKNOWN. `pixels` is None where
    none came."""

    pixels: Pixels | None
    problem: str | None = None


class Grabber(Protocol):
    """An open camera that gives images, and takes the next one `interval_s` after the last (0: as they come)."""

    interval_s: float

    def grab(self) -> Pixels | bytes | Picture:
        """The next image; waits for it. Raises CameraLost, or another DriftlineError that says why there is none.

        Pixels are (H, W) grey or (H, W, 3) RGB, u8, or u16 over its full range; bytes are an image file.
        """

    def close(self) -> None:
        """Release the camera."""


class Camera:
    """A source that gives the newest image every `every_ms`: pixels as PNG of 8 or 16 bits, files as they are.

    Images in between are dropped, never queued, so that verdicts are current. `trouble` says why there are no images;
    the service records each loss and return.
    """

    def __init__(self, name: str, connect: Callable[[], Grabber], every_ms: int) -> None:
        self.trouble: str | None = None
        self._name = name
        self._connect = connect
        self._every_s = every_ms / 1000
        self._due_s = self._heard_s = time.monotonic()
        self._newest: tuple[int, Pixels | bytes | Picture] | None = None
        self._last_ns = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._grab_images, name="camera", daemon=True)
        self._thread.start()

    def read(self, block_ms: int) -> list[Frame]:
        """One frame if it is due and the camera has a newer image than the last, within `block_ms`; else none."""
        until = time.monotonic() + block_ms / 1000
        while True:
            newest, now_s = self._newest, time.monotonic()
            if newest is not None and now_s >= self._due_s and newest[0] != self._last_ns:
                self._last_ns, self._heard_s = newest[0], now_s
                self._due_s = now_s + self._every_s
                return [self._frame(*newest)]
            if now_s >= until:
                self._miss(now_s)
                return []
            time.sleep(POLL_S)

    def _miss(self, now_s: float) -> None:
        """Notice a camera that is there and gives no image, as one whose driver waits for ever."""
        silent_s = now_s - self._heard_s
        if self.trouble is None and silent_s > 2 * READ_MS / 1000 + self._every_s:
            self.trouble = str(lost(self._name, f"no image for {silent_s:.0f} s"))

    def acknowledge(self, frame: Frame) -> None:
        """Does nothing: a camera keeps no frame."""

    def tidy(self, keep: int) -> None:
        """Does nothing: a camera keeps no frame."""

    def close(self) -> None:
        """Release the camera."""
        self._closing.set()
        self._thread.join(CLOSE_S)  # a driver may hang for ever; the thread ends with the process

    def _frame(self, at_ns: int, image: Pixels | bytes | Picture | None) -> Frame:
        if isinstance(image, Picture):
            problem = f"expected a whole and fresh image, came {image.problem}" if image.problem else None
            return replace(self._frame(at_ns, image.pixels), problem=problem, may_repeat=True)
        name = f"{self._name}@{at_ns}"
        data = _png(image) if isinstance(image, np.ndarray) else image
        return Frame(name, name, "camera", at_ns // 1_000_000, data)

    def _grab_images(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while not self._closing.is_set():
            try:
                with contextlib.closing(self._connect()) as camera:
                    while not self._closing.is_set():
                        next_s = time.monotonic() + camera.interval_s
                        image = camera.grab()
                        self._newest, self.trouble = (time.time_ns(), image), None
                        backoff_s = BACKOFF_FIRST_S
                        self._closing.wait(next_s - time.monotonic())
            except Exception as error:  # whatever a camera's driver raises: it is reported, and the camera tried again
                self.trouble = str(error)
                log.debug("camera lost", camera=self._name, error=str(error))
                self._closing.wait(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_LAST_S)


def _png(image: Pixels) -> bytes:
    ordered = image if image.ndim == 2 else image[:, :, ::-1]  # OpenCV writes BGR
    data = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    return data if image.dtype == np.uint8 else _all_significant(data, 1 if image.ndim == 2 else 3)


def _all_significant(png: bytes, channels: int) -> bytes:
    """A PNG of 16 bits that says so by the chunk sBIT, which OpenCV does not write: its values fill all of them,
    whatever the depth of the camera's own."""
    chunk = b"sBIT" + bytes([16] * channels)
    return (
        png[:PNG_HEADER_BYTES]
        + struct.pack(f">I{len(chunk)}sI", channels, chunk, zlib.crc32(chunk))
        + png[PNG_HEADER_BYTES:]
    )


def lost(camera: str, came: str) -> CameraLost:
    """The error of a camera that cannot be used, with what came instead of its images."""
    return CameraLost(
        expected=f"images from camera {camera}", came=came, do="check cable, address and power; it is tried again"
    )


def address_of(settings: Settings) -> str:
    """The camera that the settings name. Raises ConfigError where they name none."""
    if settings.source.camera is None:
        raise ConfigError(expected="source.camera", came="no address", do="name the camera in config.yaml")
    return settings.source.camera
