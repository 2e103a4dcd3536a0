"""What a JPEG says of itself before it is decoded."""

from __future__ import annotations

import simplejpeg

from daemon.intake.raw_image import rejected

SCAN = b"\xff\xda"  # cannot occur in compressed data, where FF is followed by 00 (ITU-T T.81, B.1.1.5)
MAX_SCANS = 100  # programs write about ten; each costs as much time as an image


def jpeg_header(data: bytes) -> tuple[int, int, str]:
    """The height and width in pixels and the colour space. Raises ImageRejected for more than `MAX_SCANS` scans, and
    ValueError for no JPEG."""
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    if (scans := data.count(SCAN)) > MAX_SCANS:
        raise rejected(f"a JPEG of at most {MAX_SCANS} scans", f"{scans}", "save it as a baseline JPEG")
    return height, width, colours
