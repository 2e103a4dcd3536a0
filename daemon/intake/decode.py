"""From image bytes to what is judged: one intensity window, one size; and image files from allowed folders."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from daemon.intake.raw_image import LEAST_PX, MIN_SIDE_PX, ImageRejected, RawImage, rejected
from daemon.intake.readers import read
from daemon.settings.models import SourceSettings
from memory.features import Image
from memory.region import Inside

__all__ = ["LEAST_PX", "MIN_SIDE_PX", "SUFFIXES", "ImageRejected", "RawImage", "blank", "decode", "eight_bits"]
__all__ += ["found_bits", "path_text", "pictured", "read", "read_allowed", "resampled", "resized", "resized_at_once"]
__all__ += ["shrunk"]

DEPTHS = (8, 10, 12, 14, 16)
BLUR_PX = 4.0
MAX_NOISE_LEVELS = 8.0
SUFFIXES = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".mpo", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)


def eight_bits(raw: RawImage, bits: int | None) -> Image:
    """The image as RGB (H, W, 3) u8: every value divided by the intensity window 2^bits − 1, and rounded.

    `bits` is what the version fixed; the file's own word wins over it; without either, 16. The window never depends
    on the image, so exposure keeps its meaning. Raises ImageRejected where a value lies beyond the window.
    """
    pixels = raw.pixels if raw.pixels.dtype == np.uint8 else _windowed(raw, bits or 16)
    colours = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels  # (H, W) -> (H, W, 3)
    return np.asarray(colours, dtype=np.uint8)


def _windowed(raw: RawImage, taught_bits: int) -> Image:
    bits, largest = raw.bits or taught_bits, int(raw.pixels.max())
    white = 2**bits - 1
    if largest > white:
        whose, do = (
            ("as the file says", "check the camera") if raw.bits else ("as taught", "set source.bits and teach again")
        )
        raise rejected(f"values up to {white} ({bits} bits), {whose}", f"a value of {largest}", do)
    return np.asarray(_to_eight_bits(bits)[raw.pixels], dtype=np.uint8)


@cache
def _to_eight_bits(bits: int) -> Image:
    """(2^bits,) u8: the 8-bit value of every value. None lies half-way, for 2^bits − 1 is odd."""
    return np.asarray(np.rint(np.arange(2**bits) * 255 / (2**bits - 1)), dtype=np.uint8)


def found_bits(largest: int) -> int:
    """The smallest usual depth (8, 10, 12, 14 or 16 bits) that holds the largest value of all taught parts.

    8 is among them, though such an image came in 16 bits: a window that is too small is told at the first brighter
    image, one that is too large takes contrast away in silence.
    """
    return next(bits for bits in DEPTHS if largest < 2**bits)


def resized(image: Image, width_px: int, height_px: int) -> Image:
    """The image as (height_px, width_px, 3) u8, anti-aliased along each axis of its own: averaged over areas where
    the axis shrinks, linear where it grows.

    OpenCV averages only where both axes shrink: in one call, a line of one pixel would be lost between samples.
    """
    return np.ascontiguousarray(resampled(image, width_px, height_px), dtype=np.uint8)


def resampled(values: npt.NDArray[Any], width_px: int, height_px: int) -> npt.NDArray[Any]:
    """`resized`, of values of any kind (H, W, …)."""
    height, width = values.shape[:2]
    if width_px > width and height_px < height:
        values = cv2.resize(values, (width, height_px), interpolation=cv2.INTER_AREA)
    elif width_px < width and height_px > height:
        values = cv2.resize(values, (width_px, height), interpolation=cv2.INTER_AREA)
    height, width = values.shape[:2]
    shrinks = width_px < width or height_px < height
    by = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(values, (width_px, height_px), interpolation=by)


def resized_at_once(image: Image, width_px: int, height_px: int) -> Image:
    """The image as (height_px, width_px, 3) u8 in one step, as versions before geometries have it: where one axis
    shrinks and the other grows, thin lines may be lost."""
    by = cv2.INTER_AREA if max(image.shape[:2]) > max(width_px, height_px) else cv2.INTER_LINEAR
    return np.ascontiguousarray(cv2.resize(image, (width_px, height_px), interpolation=by), dtype=np.uint8)


def blank(image: Image, inside: Inside | None = None) -> bool:
    """Whether an image (H, W, 3) u8 shows nothing `inside`: one grey all over, as behind a lens cap or beside a dead
    lamp.

    Noise is known by its spectrum: a Gaussian blur of 4 px leaves 1/14 of the standard deviation of white noise. A
    channel shows nothing where its own deviation is below 8 levels, which no sensor's noise reaches, and the blurred
    one's below twice that share, or below half a level.
    """
    mean, deviation = cv2.meanStdDev(image, mask=None if inside is None else inside.view(np.uint8))
    noise = deviation[:, 0]
    if (noise >= MAX_NOISE_LEVELS).any():
        return False
    levels = (image if inside is None else np.where(inside[:, :, None], image, mean[:, 0])).astype(np.float32)
    blurred = cv2.GaussianBlur(levels, (0, 0), BLUR_PX)
    structure = (blurred.reshape(-1, 3) if inside is None else blurred[inside]).std(axis=0)
    return bool((structure < np.maximum(noise / 7, 0.5)).all())


def decode(data: bytes, input_px: int, max_pixels: int) -> Image:
    """The image as RGB (input_px, input_px, 3) u8, resized to the square whatever its shape.

    A 16-bit file that states no depth is divided by 257, never stretched. Raises ImageRejected as `read` does.
    """
    return resized(eight_bits(read(data, max_pixels, (input_px, input_px)), None), input_px, input_px)


def pictured(data: bytes, most_px: int, source: SourceSettings, bits: int | None) -> Image:
    """The image for people: in its own shape, RGB (H, W, 3) u8, at most `most_px` high and wide. Raises ImageRejected.

    `bits` is the intensity window of the version that judged it, None for `source.bits`. A value beyond it, or no
    window at all, opens the window to the smallest depth that holds the image: for looking only, since an image must
    not choose the window that it is judged in.
    """
    raw = read(data, source.max_pixels, (most_px, most_px), source.page)
    window = max(raw.bits or bits or source.bits or 0, found_bits(int(raw.pixels.max())))
    return shrunk(eight_bits(replace(raw, bits=None), window), most_px)


def shrunk(image: Image, most_px: int) -> Image:
    """The image (H, W, 3) u8 in its own shape, at most `most_px` high and wide."""
    shrink = min(most_px / max(image.shape[:2]), 1.0)
    smaller = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else image
    return np.ascontiguousarray(smaller, dtype=np.uint8)


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
            raise rejected("a path under source.allowed_roots", path_text(path), "add its folder there, or send bytes")
        if not real.is_file() or real.stat().st_size > max_bytes:
            raise rejected(f"a file of at most {max_bytes:,} bytes", path_text(path), "raise source.max_bytes")
        return real.read_bytes()
    except (OSError, ValueError) as error:
        raise rejected("a readable file", f"{path_text(path)}: {error}", "check the path and its owner") from error
