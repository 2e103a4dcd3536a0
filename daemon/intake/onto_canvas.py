"""From an image's bytes to the canvas of a version: read, checked, in eight bits, resampled."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from daemon.intake.decode import ImageRejected, blank, eight_bits, read, resized, resized_at_once
from daemon.intake.depth import depth_picture
from daemon.settings.models import SourceSettings
from memory.features import Image, colours
from memory.geometry import Geometry, GeometryError
from memory.region import Inside


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image's bytes with its pixels (H, W, 3 or 6) u8 on the canvas of a geometry (`onto_canvas`)."""

    data: bytes
    image: Image
    geometry: Geometry


def decode_onto(data: bytes, geometry: Geometry, source: SourceSettings) -> Decoded:
    """Decode an image onto the canvas of a geometry (`onto_canvas`). Raises ImageRejected."""
    return Decoded(data, onto_canvas(data, geometry, source), geometry)


def decoded_onto(
    beforehand: Future[Decoded] | None, data: bytes, geometry: Geometry, source: SourceSettings
) -> Decoded:
    """An image as it was decoded beforehand, or now: what was refused then may have been for another version. Raises
    ImageRejected."""
    if beforehand is not None:
        with suppress(ImageRejected):
            return beforehand.result()
    return decode_onto(data, geometry, source)


def onto_canvas(data: bytes, geometry: Geometry, source: SourceSettings) -> Image:
    """The image (H, W, 3) u8 on the canvas, upright; (H, W, 6) where the version sees depth, whose picture follows the
    colours. Raises ImageRejected for no usable image, one of another size than was taught, values beyond its intensity
    window, or no usable depth (`depth_picture`)."""
    height_px, width_px = geometry.canvas_px
    raw = read(data, source.max_pixels, geometry.least_px, source.page)
    try:
        geometry.check(*raw.size_px)
    except GeometryError as error:
        raise ImageRejected(expected=error.expected, came=error.came, do=error.do) from error
    if raw.bits is None and geometry.bits is None and geometry.anti_aliased:
        taught, came = "an image that states its depth, as the taught ones do", "16 bits of a camera of unknown depth"
        raise ImageRejected(expected=taught, came=came, do="set source.bits to the camera's and teach again")
    resample = resized if geometry.anti_aliased else resized_at_once
    seen = resample(eight_bits(raw, geometry.bits), width_px, height_px)
    if geometry.depth is None:
        return seen
    return np.concatenate([seen, depth_picture(data, raw.size_px, geometry.canvas_px, geometry.depth, source)], axis=2)


def refuse_blank(image: Image, inside: Inside | None) -> None:
    """Raises ImageRejected for an image (H, W, 3 or 6) u8 whose colours show nothing where it is `inside`: black, white
    or grey all over."""
    if blank(colours(image), inside):
        raise ImageRejected(
            expected="an image that shows a part",
            came="one shade all over",
            do="look at lamp, lens cap and exposure",
        )
