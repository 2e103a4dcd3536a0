"""Images as the tests use them: rendered parts, as files and as features of plain colours, and unusable files."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image

from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from memory.features import Features, Image

INPUT_PX = 64


@cache
def png(number: int, scene: Scene = STEADY, flaw: Flaw | None = None) -> bytes:
    """A small rendered part as PNG bytes."""
    small = cv2.resize(part(number, scene, flaw), (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
    return file_of(small)


def file_of(pixels: npt.NDArray[Any]) -> bytes:
    """A PNG of grey (H, W) or RGB (H, W, 3) pixels, u8 or u16."""
    return cv2.imencode(".png", pixels[:, :, ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def material_of(image: Image) -> Features:
    """Plain colour statistics of 16 px cells, 256 patches of 6 numbers, stand in for a backbone's."""
    cells = image.reshape(16, 16, 16, 16, 3).astype(np.float32)  # (H, W, 3) -> (rows, y, columns, x, 3)
    statistics = np.concatenate([cells.mean(axis=(1, 3)), cells.std(axis=(1, 3))], axis=-1)
    return Features(statistics.reshape(-1, 6) / 64, (16, 16))  # (rows, columns, 6) -> (P, 6)


def encoded(image: PIL.Image.Image, kind: str = "PNG", **also: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **also)
    return out.getvalue()


def grey(value: int = 100, side: int = 40) -> PIL.Image.Image:
    return PIL.Image.new("L", (side, side), value)


def giant_png(width: int, height: int) -> bytes:
    """A valid header of a picture that would need gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def animated() -> bytes:
    return encoded(grey(0), "GIF", save_all=True, append_images=[grey(255)], duration=50)


UNUSABLE = {
    "zero bytes": b"",
    "a text file": b"this is not a picture, whatever its name says\n" * 10,
    "a truncated PNG": encoded(PIL.Image.effect_noise((64, 64), 50))[:900],
    "a truncated JPEG": encoded(PIL.Image.effect_noise((64, 64), 50), "JPEG")[:700],
    "an animation": animated(),
    "one pixel": encoded(grey(side=1)),
    "20,000 × 20,000": giant_png(20_000, 20_000),
    "a decompression bomb": giant_png(1_500_000_000, 1),
    "floating-point pixels": encoded(PIL.Image.new("F", (40, 40), 0.5), "TIFF"),
    "32-bit pixels": encoded(PIL.Image.new("I", (40, 40), 1_000_000), "TIFF"),
}
