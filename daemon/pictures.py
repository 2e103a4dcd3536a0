"""The image behind a sample, as the backbone saw it: a kept frame with its light divided out, or a taught part."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2

from daemon import scene
from daemon.frames import ImageRejected, KeptFrames, decode
from daemon.ledger import Ledger, Row
from drift.light import compensate
from drift.signals import Vector
from memory.features import Image


@dataclass(frozen=True)
class Pictures:
    """Looks images up again; those of taught parts were kept by `keep_taught`."""

    ledger: Ledger
    kept: KeptFrames
    input_px: int
    max_pixels: int

    def of(self, row: Row, gain: Vector) -> Image | None:
        """A judged frame under a gain by channel (3,); None where its image is gone or was altered."""
        data = self.kept.image(row["kept"]) if row["kept"] else None
        if data is None or hashlib.sha256(data).hexdigest() != row["image_sha256"]:
            return None
        image = self._decoded(data)
        return None if image is None else compensate(image, gain)

    def sample(self, name: str) -> Image | None:
        """The image that a calibration part or defect was learned from; None where it is gone or torn."""
        row = self.ledger.frame(name)
        if row is not None:
            return self.of(row, scene.gain(row))
        data = self.kept.image(KeptFrames.name(_taught(name)))
        return self._decoded(data) if data else None

    def _decoded(self, data: bytes) -> Image | None:
        try:
            return decode(data, self.input_px, self.max_pixels)
        except ImageRejected:
            return None


def keep_taught(kept: KeptFrames, name: str, image: Image) -> None:
    """Keep a taught part's image (H, W, 3) u8, for its folder may be gone when it is to be looked at again."""
    kept.keep(_taught(name), cv2.imencode(".png", image[:, :, ::-1])[1].tobytes(), None, durable=True)


def _taught(name: str) -> str:
    return f"taught {name}"
