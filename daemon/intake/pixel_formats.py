"""Images from the raw buffers of machine-vision cameras, by the pixel formats of the GenICam standard (PFNC)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from memory.errors import DriftlineError

Pixels = npt.NDArray[np.uint8 | np.uint16]
Bytes = npt.NDArray[np.uint8]

# PFNC names a Bayer pattern by the first two pixels of its first row, as these codes do in full; OpenCV's shorter names
# (COLOR_BayerBG2RGB for this BayerRG) go by the second row.
DEMOSAIC = {
    "BayerRG": cv2.COLOR_BayerRGGB2RGB,
    "BayerGR": cv2.COLOR_BayerGRBG2RGB,
    "BayerGB": cv2.COLOR_BayerGBRG2RGB,
    "BayerBG": cv2.COLOR_BayerBGGR2RGB,
}
COLOURS = ("RGB", "BGR")
MIN_BAYER_PX = 3  # OpenCV interpolates nothing in a smaller mosaic


class PixelsRejected(DriftlineError):
    """A buffer of a camera that gives no true image: unknown format, too few bytes, or values beyond its bits."""


@dataclass(frozen=True)
class PixelFormat:
    """How values lie in memory: `bits` of each, in whole little-endian words, or packed.

    Packed `p` (PFNC) is a stream of bits, lowest first. `Packed` (GigE Vision, older) holds two values in three bytes:
    the high 8 bits of the first, the low bits of both (the first's in the lower half), the high 8 bits of the second.
    """

    colour: str
    bits: int
    packing: str = ""

    @property
    def name(self) -> str:
        """Its name in PFNC."""
        return f"{self.colour}{self.bits}{self.packing}"

    @property
    def channels(self) -> int:
        """Values of one pixel."""
        return 3 if self.colour in COLOURS else 1

    @property
    def stored_bits(self) -> int:
        """Bits that one value takes in memory."""
        if self.packing == "Packed":
            return 12
        return self.bits if self.packing else -(-self.bits // 8) * 8

    def line_bytes(self, width: int) -> int:
        """Bytes of a line that starts and ends with a byte of its own."""
        return -(-width * self.channels * self.stored_bits // 8)


FORMATS = {
    format_.name: format_
    for format_ in (
        *(PixelFormat("Mono", bits) for bits in (8, 10, 12, 14, 16)),
        *(PixelFormat(colour, bits) for colour in (*COLOURS, *DEMOSAIC) for bits in (8, 10, 12, 16)),
        *(PixelFormat(colour, bits, "p") for colour in ("Mono", *COLOURS, *DEMOSAIC) for bits in (10, 12)),
        *(PixelFormat(colour, bits, "Packed") for colour in ("Mono", *DEMOSAIC) for bits in (10, 12)),
    )
}


def image_from_buffer(
    data: bytes | memoryview, width: int, height: int, name: str | None, x_padding: int = 0
) -> Pixels:
    """The image in a buffer whose pixel format has this PFNC name: (H, W), or RGB (H, W, 3) for a colour format.

    It is u8 for formats of 8 bits, else u16 over its full range: v × 65535 / (2^bits − 1), rounded. It shares no memory
    with `data`. `x_padding` is the number of bytes after each line. Bytes after the image, such as chunk data, do not
    matter.

    Where the lines of a packed format do not fill whole bytes: with padding each starts with a byte of its own;
    without, the next line follows in the same byte (both as in `ComputeStride` of Basler's pylon), except where `data`
    has exactly the size of lines that start with a byte of their own. Raises PixelsRejected.
    """
    format_ = FORMATS.get(name or "")
    if format_ is None:
        raise PixelsRejected(expected="a pixel format that can be read", came=name or "none", do=_advice())
    least_px = MIN_BAYER_PX if format_.colour in DEMOSAIC else 1
    if min(width, height) < least_px or x_padding < 0:
        came = f"{width}×{height} with a padding of {x_padding} bytes"
        raise PixelsRejected(
            expected=f"{name} of at least {least_px}×{least_px} pixels", came=came, do="check Width and Height"
        )
    values = _values(_lines(np.frombuffer(data, np.uint8), width, height, format_, x_padding), format_)
    count = width * height * format_.channels
    pixels = _full_range(values.reshape(-1)[:count] if len(values) == 1 else values[:, : count // height], format_)
    if format_.channels == 3:
        image = pixels.reshape(height, width, 3)  # (H, W * 3) -> (H, W, 3)
        return np.ascontiguousarray(image[:, :, ::-1] if format_.colour == "BGR" else image)
    image = np.ascontiguousarray(pixels.reshape(height, width))
    if format_.colour in DEMOSAIC:
        return cv2.cvtColor(image, DEMOSAIC[format_.colour])  # type: ignore[return-value]  # its type stays
    return image


def _lines(data: Bytes, width: int, height: int, format_: PixelFormat, x_padding: int) -> Bytes:
    """The buffer's lines (H, bytes), without padding; or all in one (1, bytes) where lines share bytes."""
    line_bytes = format_.line_bytes(width)
    pitch = line_bytes + x_padding
    run_on_bytes = format_.line_bytes(width * height)
    own_bytes = run_on_bytes < line_bytes * height == len(data)
    run_on = x_padding == 0 and width * format_.channels * format_.stored_bits % 8 != 0 and not own_bytes
    needed = run_on_bytes if run_on else pitch * height - x_padding  # padding may be left out after the last line
    if len(data) < needed:
        raise PixelsRejected(
            expected=f"{needed:,} bytes of {width}×{height} {format_.name}, {x_padding} after each line",
            came=f"{len(data):,}",
            do="check the cable and the camera's packet size",
        )
    if run_on:
        return data[None, :needed]
    return np.lib.stride_tricks.as_strided(data, (height, line_bytes), (pitch, 1), writeable=False)


def _values(lines: Bytes, format_: PixelFormat) -> Pixels:
    """The values of each line (R, at least as many as it has), as they are stored; a packed line's last group may hold
    some more."""
    if format_.stored_bits == 8:
        return lines.copy()
    if not format_.packing:
        return np.ascontiguousarray(lines).view("<u2").astype(np.uint16)
    group_values, group_bytes = (4, 5) if format_.stored_bits == 10 else (2, 3)
    groups = np.pad(lines, ((0, 0), (0, -lines.shape[1] % group_bytes))).astype(np.uint16)
    groups = groups.reshape(len(lines), -1, group_bytes)
    values = np.empty((*groups.shape[:2], group_values), np.uint16)
    if format_.packing == "p":
        for place in range(group_values):
            byte, shift = divmod(place * format_.bits, 8)
            word = groups[:, :, byte] | (groups[:, :, byte + 1] << 8)
            values[:, :, place] = (word >> shift) & ((1 << format_.bits) - 1)
    else:
        low_bits = format_.bits - 8
        low_mask = (1 << low_bits) - 1
        values[:, :, 0] = (groups[:, :, 0] << low_bits) | (groups[:, :, 1] & low_mask)
        values[:, :, 1] = (groups[:, :, 2] << low_bits) | ((groups[:, :, 1] >> 4) & low_mask)
    return values.reshape(len(lines), -1)


def _full_range(values: Pixels, format_: PixelFormat) -> Pixels:
    if format_.bits in {8, 16}:
        return values
    largest = (1 << format_.bits) - 1
    if values.max(initial=0) > largest:
        raise PixelsRejected(
            expected=f"values of {format_.name} up to {largest}",
            came=f"{values.max()}",
            do="have the camera's driver align values to the lowest bit (UnpackingMode: Lsb)",
        )
    scaled = np.rint(np.arange(largest + 1) * (65_535 / largest)).astype(np.uint16)
    pixels: Pixels = scaled[values]
    return pixels


def _advice() -> str:
    plain = [name for name, format_ in FORMATS.items() if format_.colour not in DEMOSAIC]
    return f"set PixelFormat to one of {', '.join(plain)} or a Bayer format of 8, 10, 12 or 16 bits"
