"""JPEGs as a camera sends them."""

from __future__ import annotations

import cv2

from daemon.datasets.rendered import STEADY, Scene, part

QUALITY = 92


def jpeg(bgr: cv2.typing.MatLike) -> bytes:
    """An image's file."""
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def part_jpeg(number: int, side_px: int, scene: Scene = STEADY) -> bytes:
    """The file of a rendered part, a square of so many pixels a side."""
    return jpeg(cv2.resize(part(number, scene)[:, :, ::-1], (side_px, side_px)))
