"""A camera that has an address: streams and USB by OpenCV, single images by HTTP."""

from __future__ import annotations

import cv2
import numpy as np

from daemon.intake.cameras import READ_MS, Camera, Grabber, address_of, lost, without_password
from daemon.intake.pixel_formats import Pixels
from daemon.intake.snapshot import Snapshot, content_type, is_image
from daemon.settings.load import Settings
from daemon.streams import RedisStreams

OPEN_MS = 5_000


class OpenCv:
    """A camera that OpenCV opens: a URL (RTSP, a stream over HTTP) or the number of a device."""

    interval_s = 0.0

    def __init__(self, address: str) -> None:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
        number = address.isdecimal()
        self._name = without_password(address)
        self._camera = cv2.VideoCapture(int(address)) if number else cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
        if not self._camera.isOpened():
            raise lost(self._name, "it cannot be opened")

    def grab(self) -> Pixels:
        """The next image (H, W, 3) u8, RGB: OpenCV makes every stream so. Raises CameraLost."""
        there, image = self._camera.read()
        if not there:
            raise lost(self._name, "it gives no image any more")
        return np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)

    def close(self) -> None:
        """Release the camera."""
        self._camera.release()


def connect(address: str, every_ms: int, max_bytes: int) -> Grabber:
    """The camera at an address: a Snapshot where HTTP gives a single image, else by OpenCV. Raises CameraLost."""
    if address.lower().startswith(("http://", "https://")) and is_image(content_type(address)):
        return Snapshot(address, every_ms, max_bytes)
    return OpenCv(address)


def open_source(settings: Settings, _: RedisStreams) -> Camera:
    """The camera that has an address. Raises ConfigError where none is named."""
    address, every_ms, max_bytes = address_of(settings), settings.source.every_ms, settings.source.max_bytes
    return Camera(settings.line, lambda: connect(address, every_ms, max_bytes), every_ms)
