"""Image files with known pixels, of the formats and depths that cameras write."""

from __future__ import annotations

import io
import struct
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

SIDE_PX = 48
U16 = npt.NDArray[np.uint16]
LAYOUTS: dict[str, dict[str, object]] = {
    "one strip": {},
    "strips, LZW": {"rowsperstrip": 7, "compression": "lzw"},
    "strips, deflate and predictor": {"rowsperstrip": 7, "compression": "zlib", "predictor": 2},
    "strips, packbits": {"rowsperstrip": 7, "compression": "packbits"},
    "tiles": {"tile": (16, 32)},
    "tiles, LZW and predictor": {"tile": (16, 32), "compression": "lzw", "predictor": 2},
}


def scene(bits: int, channels: int = 1) -> npt.NDArray[Any]:
    """One scene as a camera of this depth sees it: every brightness from black to white, (48, 64) or (48, 64, 3)."""
    y, x = np.mgrid[:SIDE_PX, :64]
    share = (x * SIDE_PX + y) / (64 * SIDE_PX - 1)
    seen = share if channels == 1 else np.stack([share, share[::-1], share[:, ::-1]], axis=-1)
    return np.rint(seen * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def tiff(*pages: npt.NDArray[Any], **options: Any) -> bytes:
    """A TIFF of these pages, by tifffile."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out, byteorder=options.pop("byteorder", "<")) as writer:
        for page in pages:
            writer.write(page, **{"metadata": None, **options})
    return out.getvalue()


def packed_tiff(pixels: U16, bits: int, order: str, photometric: int = 1) -> bytes:
    """A TIFF of `bits` a pixel without a gap, the highest first, each row from a new byte (TIFF 6.0, page 29).

    Written here, for tifffile 2026.3.3 writes the values of big-endian ones with their bytes exchanged.
    """
    places = np.arange(bits - 1, -1, -1)
    body = b"".join(np.packbits(((row[:, None] >> places) & 1).astype(np.uint8)).tobytes() for row in pixels)
    height, width = pixels.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: height, 279: len(body)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())  # 4: 32 bits
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return head + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0) + body


def pnm(pixels: npt.NDArray[Any], white: int) -> bytes:
    """A PGM, or a PPM of colour, with a comment in its header."""
    kind = "P5" if pixels.ndim == 2 else "P6"
    body = pixels.astype(np.uint8 if white < 256 else ">u2").tobytes()
    return f"{kind}\n# made by a camera\n{pixels.shape[1]} {pixels.shape[0]}\n{white}\n".encode() + body


def png(pixels: npt.NDArray[Any]) -> bytes:
    """A PNG of 8 or 16 bits, by libpng."""
    return bytes(imagecodecs.png_encode(pixels))


def jp2(pixels: npt.NDArray[Any], bits: int) -> bytes:
    """A lossless JPEG 2000 file of this precision, by OpenJPEG."""
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="jp2", bitspersample=bits))
