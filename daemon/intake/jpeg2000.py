"""JPEG 2000 files (.jp2)."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np

from daemon.intake.raw_image import RawImage, check_channels, check_size, rejected, without_alpha

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
START = b"\xff\x4f\xff\x51"  # a codestream starts with the markers SOC and SIZ
GREY_OR_SRGB = {(1, 16), (1, 17)}  # method "enumerated", and the colour space's number
ICC_PROFILE = 2


def read_jpeg_2000(data: bytes, max_pixels: int) -> RawImage:
    """The image of a .jp2 file with the precision that it states (ISO/IEC 15444-1, annexes A.5.1 and I).

    Pillow is not used: it shifts 12 bits to 16 and gives colour as 8. Raises ImageRejected, and what imagecodecs
    raises for damaged data.
    """
    boxes = _boxes(data)
    stream, header = boxes[b"jp2c"], boxes[b"jp2h"]
    if not stream.startswith(START):
        raise ValueError("the codestream has no size")
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    check_size(right - left, bottom - top, max_pixels)
    channels = struct.unpack_from(">H", stream, 40)[0]
    check_channels(channels)  # each is decoded at the full size of the image
    precisions = set(stream[42 : 42 + 3 * channels : 3])
    colour = header.find(b"colr") + 4
    method, space = header[colour], int.from_bytes(header[colour + 3 : colour + 7])
    if method != ICC_PROFILE and (method, space) not in GREY_OR_SRGB:
        raise rejected("grey or sRGB", f"colour space {space}", "save it as sRGB")
    precision = max(precisions) + 1  # the sign is the highest bit
    if len(precisions) > 1 or not 8 <= precision <= 16:
        raise rejected("8 to 16 bits a channel, unsigned", f"precisions {sorted(precisions)}", "convert to 16 bits")
    pixels = without_alpha(imagecodecs.jpeg2k_decode(data))
    return RawImage(np.ascontiguousarray(pixels), precision if precision < 16 else None)


def _boxes(data: bytes) -> dict[bytes, bytes]:
    """The contents of the file's boxes up to its codestream. Raises ValueError where their chain is broken."""
    boxes, at = {}, 0
    while b"jp2c" not in boxes:
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + (16 if length == 1 else 8)
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16])
        end = at + length if length else len(data)
        if not start < end <= len(data):
            raise ValueError(f"a box of {length} bytes at byte {at}")
        boxes[kind] = data[start:end]
        at = end
    return boxes
