"""Image files kept in less room, and given back to the byte."""

from __future__ import annotations

import imagecodecs
import numpy as np

MAGIC = b"driftline packed 1\n"
SMALL_ALREADY = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"GIF8", b"\x00\x00\x00\x0cjP")
DISTANCES = (1, 2, 3, 4, 6)  # bytes from a pixel to the next: grey and colour of 8 and 16 bits, colour with alpha
TRIED_BYTES = 65_536
WORTH = 0.9


def packed(data: bytes) -> bytes | None:
    """The file in less room: each byte as its difference from the one a pixel before, compressed by Zstandard; None
    where that does not save a tenth.

    A stretch from its middle tells how many bytes a pixel has.
    """
    if data.startswith(SMALL_ALREADY):
        return None
    start = max(0, (len(data) - TRIED_BYTES) // 2)
    stretch = data[start : start + TRIED_BYTES]
    distance = min(DISTANCES, key=lambda n: len(_compressed(stretch, n)))
    smaller = MAGIC + bytes([distance]) + _compressed(data, distance)
    return smaller if len(smaller) < WORTH * len(data) else None


def unpacked(packed_file: bytes) -> bytes | None:
    """The file as it was packed; None where it is damaged."""
    if not packed_file.startswith(MAGIC) or len(packed_file) == len(MAGIC):
        return None
    distance = packed_file[len(MAGIC)]
    try:
        differences = np.frombuffer(imagecodecs.zstd_decode(packed_file[len(MAGIC) + 1 :]), np.uint8)
    except (imagecodecs.ZstdError, ValueError, MemoryError):
        return None
    if not distance:
        return None
    room = np.zeros(-(-len(differences) // distance) * distance, np.uint8)
    room[: len(differences)] = differences
    return np.cumsum(room.reshape(-1, distance), axis=0, dtype=np.uint8).tobytes()[: len(differences)]


def _compressed(data: bytes, distance: int) -> bytes:
    values = np.frombuffer(data, np.uint8)
    differences = values.copy()
    differences[distance:] -= values[:-distance]
    return bytes(imagecodecs.zstd_encode(differences.tobytes(), level=1))
