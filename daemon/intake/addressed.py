"""A camera that has an address or a number: streams, single images by HTTP, and USB cameras by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from daemon.intake.cameras import Camera, Grabber, address_of, lost
from daemon.intake.pixel_formats import Pixels
from daemon.intake.snapshot import Snapshot, content_type, is_image
from daemon.intake.video import Video
from daemon.settings.load import Settings
from daemon.streams import RedisStreams


class UsbCamera:
    """A camera that OpenCV opens by its number."""

    interval_s = 0.0

    def __init__(self, number: str) -> None:
        self._name = number
        self._camera = cv2.VideoCapture(int(number))
        if not self._camera.isOpened():
            raise lost(self._name, "it cannot be opened")

    def grab(self) -> Pixels:
        """The next image (H, W, 3) u8, RGB: OpenCV makes every one so. Raises CameraLost."""
        there, image = self._camera.read()
        if not there:
            raise lost(self._name, "it gives no image any more")
        return np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)

    def close(self) -> None:
        """Release the camera."""
        self._camera.release()


def connect(address: str, every_ms: int, max_bytes: int) -> Grabber:
    """The camera at an address: by its number, a Snapshot where HTTP gives a single image, else its stream. Raises
    CameraLost."""
    if address.isdecimal():
        return UsbCamera(address)
    if address.lower().startswith(("http://", "https://")) and is_image(content_type(address)):
        return Snapshot(address, every_ms, max_bytes)
    return Video(address)


def open_source(settings: Settings, _: RedisStreams) -> Camera:
    """The camera that has an address. Raises ConfigError where none is named."""
    address, every_ms, max_bytes = address_of(settings), settings.source.every_ms, settings.source.max_bytes
    return Camera(settings.line, lambda: connect(address, every_ms, max_bytes), every_ms)
