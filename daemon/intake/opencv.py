"""A camera that OpenCV opens: RTSP, HTTP or USB."""

from __future__ import annotations

import cv2
import numpy as np

from daemon.intake.cameras import READ_MS, Camera, address_of, lost
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.features import Image

OPEN_MS = 5_000


class OpenCv:
    """A camera that OpenCV opens: a URL (RTSP, HTTP) or the number of a device."""

    def __init__(self, address: str) -> None:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
        number = address.isdecimal()
        self._address = address
        self._camera = cv2.VideoCapture(int(address)) if number else cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
        if not self._camera.isOpened():
            raise lost(address, "it cannot be opened")

    def grab(self) -> Image:
        """The next image (H, W, 3) u8, RGB. Raises CameraLost."""
        there, image = self._camera.read()
        if not there:
            raise lost(self._address, "it gives no image any more")
        return np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)

    def close(self) -> None:
        """Release the camera."""
        self._camera.release()


def open_source(settings: Settings, _: RedisStreams) -> Camera:
    """The camera that OpenCV opens. Raises ConfigError where none is named."""
    address = address_of(settings)
    return Camera(settings.line, lambda: OpenCv(address), settings.source.every_ms)
