"""Safe decoding of image bytes, and reading of image files from allowed folders."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image

from memory.errors import DriftlineError
from memory.features import Image

# Pillow's own limit only warns below twice its value; ours is checked before a pixel is decoded.
PIL.Image.MAX_IMAGE_PIXELS = None

MIN_SIDE_PX = 16
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # the other formats run programs, or decode in Python
TO_EIGHT_BITS = np.rint(np.arange(65_536) / 257).astype(np.uint8)
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class ImageRejected(DriftlineError):
    """Bytes that are no usable still image."""


def decode(data: bytes, input_px: int, max_pixels: int) -> Image:
    """The image as RGB (input_px, input_px, 3) u8, resized to the square whatever its shape. Raises ImageRejected."""
    raw = read(data, max_pixels, (input_px, input_px))
    return resized(eight_bits(raw, None), input_px, input_px)


@dataclass(frozen=True, eq=False)
class RawImage:
    """The pixels (H, W) or (H, W, 3) of an image, u8 or u16, upright, and its bit depth by its own word."""

    pixels: npt.NDArray[Any]
    bits: int | None


def read(data: bytes, max_pixels: int, least_px: tuple[int, int] | None = None, page: int | None = None) -> RawImage:
    """The image. Raises ImageRejected."""
    del page
    return RawImage(_pixels(data, max(least_px) if least_px else 1 << 20, max_pixels), 8)


def eight_bits(raw: RawImage, bits: int | None) -> Image:
    """The image in eight bits."""
    del bits
    return raw.pixels.astype(np.uint8)


def found_bits(largest: int) -> int:
    """The bit depth that holds the largest value."""
    return next(bits for bits in (8, 10, 12, 14, 16) if largest < 1 << bits)


def resized(image: Image, width_px: int, height_px: int) -> Image:
    """The image resampled along each axis."""
    height, width = image.shape[:2]
    if (height_px < height) == (width_px < width):
        way = cv2.INTER_AREA if height_px < height else cv2.INTER_LINEAR
        return cv2.resize(image, (width_px, height_px), interpolation=way).astype(np.uint8, copy=False)
    return resized(resized(image, width, height_px), width_px, height_px)


def blank(image: Image, inside: npt.NDArray[np.bool_] | None = None) -> bool:
    """Whether an image shows nothing."""
    seen = image if inside is None else image[inside]
    return int(seen.max()) - int(seen.min()) < 3


def pictured(data: bytes, most_px: int, max_pixels: int) -> Image:
    """The image for people: in its own shape, RGB (H, W, 3) u8, at most `most_px` high and wide. Raises
    ImageRejected."""
    pixels = _pixels(data, most_px, max_pixels)
    shrink = min(most_px / max(pixels.shape[:2]), 1.0)
    smaller = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else pixels
    return np.ascontiguousarray(smaller, dtype=np.uint8)


def _pixels(data: bytes, least_px: int, max_pixels: int) -> Image:
    """The decoded pixels (H, W, 3) u8; a JPEG may be decoded smaller, but at least `least_px` a side where it is as
    large."""
    try:
        with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise _rejected(f"at most {max_pixels:,} pixels", f"{width}×{height}", "raise source.max_pixels")
            if min(width, height) < MIN_SIDE_PX:
                raise _rejected(f"at least {MIN_SIDE_PX} px a side", f"{width}×{height}", "check the camera")
            if _moves(image):
                raise _rejected("a still image", "several frames", "send single frames")
            if image.format == "JPEG":
                image.draft(None, (least_px, least_px))  # decode at a fraction of the size where that suffices
            return _rgb(image)
    except ImageRejected:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise _rejected(
            "a readable image",
            f"{len(data)} bytes, {type(error).__name__}: {error}",
            "check the camera or cable",
        ) from error


def _moves(image: PIL.Image.Image) -> bool:
    """Whether there is a second frame; counting all frames of a crafted file would take minutes."""
    try:
        image.seek(1)
    except EOFError:
        image.seek(0)
        return False
    return True


def _rgb(image: PIL.Image.Image) -> Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image)
        if grey.max(initial=0) > 65535 or grey.min(initial=0) < 0:
            raise _rejected("8 or 16 bits a channel", "32-bit values", "convert to 16 bits")
        eight = TO_EIGHT_BITS[grey]
        return np.repeat(eight[:, :, None], 3, axis=2)  # (H, W) -> (H, W, 3)
    if image.mode == "F":
        raise _rejected("8 or 16 bits a channel", "floating-point pixels", "convert to 16 bits")
    return np.asarray(image.convert("RGB"))


def _rejected(expected: str, came: str, do: str) -> ImageRejected:
    return ImageRejected(expected=expected, came=came, do=do)


def path_text(path: Path) -> str:
    """A path as text; bytes that are not UTF-8, as from another system's code page, are escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def read_allowed(path: Path, roots: tuple[Path, ...], max_bytes: int) -> bytes:
    """The bytes of an image file that lies under one of `roots`, links resolved.

    Raises ImageRejected for a path outside, a missing or oversized file, or an unreadable one.
    """
    try:
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(root.resolve()) for root in roots):
            raise _rejected("a path under source.allowed_roots", path_text(path), "add its folder there, or send bytes")
        if not real.is_file() or real.stat().st_size > max_bytes:
            raise _rejected(f"a file of at most {max_bytes:,} bytes", path_text(path), "raise source.max_bytes")
        return real.read_bytes()
    except (OSError, ValueError) as error:
        raise _rejected("a readable file", f"{path_text(path)}: {error}", "check the path and its owner") from error
