"""One scene as cameras of any bit depth give it, in files of every kind and in raw buffers."""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from daemon.intake.pixel_formats import image_from_buffer
from memory.features import Image

DEPTHS = (8, 10, 12, 14, 16)
Grey = npt.NDArray[np.uint16]


def levels(image: Image, bits: int) -> Grey:
    """The green of an image (H, W, 3) u8 as grey values (H, W) of so many bits."""
    scaled: Grey = np.rint(image[:, :, 1].astype(np.float64) * (2**bits - 1) / 255).astype(np.uint16)
    return scaled


def png(grey: Grey, bits: int) -> bytes:
    """A PNG that does not say how many of its 16 bits the camera used."""
    return cv2.imencode(".png", grey.astype(np.uint8) if bits == 8 else grey)[1].tobytes()


def stated(grey: Grey, bits: int) -> tuple[bytes, bytes]:
    """A TIFF and a PGM that state their bit depth."""
    out = io.BytesIO()
    # Not packed: tifffile writes packed bits wrongly in one byte order.
    tifffile.imwrite(out, grey.astype(np.uint8) if bits == 8 else grey, extratags=[(281, 3, 1, 2**bits - 1, True)])
    height, width = grey.shape
    body = grey.astype(np.uint8).tobytes() if bits == 8 else grey.astype(">u2").tobytes()
    return out.getvalue(), f"P5\n{width} {height}\n{2**bits - 1}\n".encode() + body


def raw(grey: Grey, bits: int) -> bytes:
    """A camera's raw buffer as the service keeps it."""
    height, width = grey.shape
    buffer = grey.astype(np.uint8).tobytes() if bits == 8 else grey.astype("<u2").tobytes()
    return cv2.imencode(".png", image_from_buffer(buffer, width, height, f"Mono{bits}"))[1].tobytes()
