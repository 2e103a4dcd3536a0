"""An image as its file holds it, before it is brought to 8 bits; and what every reader of files checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.errors import DriftlineError

MIN_SIDE_PX = 16
LEAST_PX = (256, 256)  # (width, height), for whoever wants to know that an image is whole, its size, and no copy
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class ImageRejected(DriftlineError):
    """Bytes that are no usable still image."""


@dataclass(frozen=True, eq=False)
class RawImage:
    """One decoded still image, upright, with every bit that its file holds.

    `pixels` is (H, W) or (H, W, 3) in RGB order, u8 or u16; of a JPEG, which may be decoded smaller, `whole_px` is the
    size (height, width) that it has. `bits` is the depth that the file itself states: 8 for 8-bit files, None where a
    16-bit container does not say how many bits the camera used. A file that merely says 16 says nothing: that is the
    size of the container, whatever the camera.
    """

    pixels: Pixels
    bits: int | None
    whole_px: tuple[int, int] | None = None

    @property
    def size_px(self) -> tuple[int, int]:
        """The size (height, width) of the whole image."""
        return self.whole_px or (self.pixels.shape[0], self.pixels.shape[1])


def rejected(expected: str, came: str, do: str) -> ImageRejected:
    """The error of an image that cannot be used."""
    return ImageRejected(expected=expected, came=came, do=do)


def check_size(width_px: int, height_px: int, max_pixels: int) -> None:
    """Raise ImageRejected for a size that is too large or too small; called before a pixel is decoded."""
    if width_px * height_px > max_pixels:
        raise rejected(f"at most {max_pixels:,} pixels", f"{width_px}×{height_px}", "raise source.max_pixels")
    if min(width_px, height_px) < MIN_SIDE_PX:
        raise rejected(f"at least {MIN_SIDE_PX} px a side", f"{width_px}×{height_px}", "check the camera")


def check_channels(channels: int) -> None:
    """Raise ImageRejected for more channels than RGB and alpha."""
    if channels > 4:
        raise rejected("grey or RGB", f"{channels} channels", "send one picture a file")


def stated_bits(white: int) -> int | None:
    """The depth that a file states by its largest possible value: 4095 says 12 bits.

    None unless it is 2^n − 1 of 9 to 15 bits: some programs write the largest value of this one image there, and an
    image must not choose its own intensity window; 65535 is written for any camera.
    """
    bits = white.bit_length()
    return bits if white == 2**bits - 1 and 8 < bits < 16 else None


def without_alpha(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Grey (H, W) or RGB (H, W, 3) of pixels of 1 to 4 channels, the last of 2 or 4 being alpha. Raises
    ImageRejected for more."""
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    check_channels(channels)
    return pixels[:, :, 0] if channels < 3 else pixels[:, :, :3]  # (H, W, C) -> (H, W) or (H, W, 3)


def upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """The pixels turned as an orientation of 1 to 8 says (EXIF 2.32 and TIFF 6.0, tag 274); others mean 1."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)  # (H, W, …) -> (W, H, …)
    down = -1 if orientation in {3, 4, 7, 8} else 1
    right = -1 if orientation in {2, 3, 6, 7} else 1
    return np.ascontiguousarray(pixels[::down, ::right])
