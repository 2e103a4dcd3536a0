"""Depth of a frame: the heights that lie beside its colours in the same file, on the canvas of a version."""

from __future__ import annotations

import numpy as np

from daemon.intake import tiff
from daemon.intake.decode import resampled
from daemon.intake.raw_image import ImageRejected, rejected
from daemon.settings.models import SourceSettings
from memory.depth import DepthWindow, HeightMap, Heights, filled
from memory.features import LEVEL, Image
from memory.geometry import Geometry, Size

DO = "send TIFFs of two pages, colours and heights, and set source.page and source.depth_page to them"


def depth_picture(data: bytes, image_px: Size, canvas_px: Size, window: DepthWindow, source: SourceSettings) -> Image:
    """The depth picture (H, W, 3) u8 of a frame whose colours have this size. Raises ImageRejected as `heights_of`, and
    where more of it is missing than the window allows."""
    heights = heights_of(data, image_px, canvas_px, source)
    if heights.missing > window.missing:
        raise rejected(
            f"a depth map of which at most {window.missing:.0%} is missing, as of the taught parts and somewhat more",
            f"{heights.missing:.0%} missing",
            "look at the depth sensor and at what shines or shades",
        )
    return window.picture(heights)


def relief(data: bytes, geometry: Geometry, source: SourceSettings) -> Image:
    """A frame's depth for people, grey (H, W, 3) u8 on the canvas of a version that sees it: lit from the upper left.
    Raises ImageRejected as `heights_of`."""
    assert geometry.depth is not None  # noqa: S101  # asked only of such versions
    slopes = geometry.depth.picture(heights_of(data, None, geometry.canvas_px, source))[:, :, 1:]
    lit = LEVEL + (slopes.astype(np.float32) - LEVEL).sum(axis=2) * np.sqrt(0.5)  # what rises away from it faces it
    return np.repeat(np.clip(np.rint(lit), 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def heights_of(data: bytes, image_px: Size | None, canvas_px: Size, source: SourceSettings) -> Heights:
    """The heights of a frame on a canvas (height, width): each the mean of those measured there. Raises ImageRejected
    where there are none, or not one for each pixel of its colours, which have the size `image_px`."""
    if source.depth_page is None or not data.startswith(tiff.MAGIC):
        came = "a file without" if source.depth_page is not None else "source.depth_page unset"
        raise rejected("colours and heights in one file, as the version was taught", came, DO)
    heights = read_depth(data, source.max_pixels, source.depth_page, image_px)
    known = ~np.isnan(heights)
    if not known.any():
        raise rejected("a depth map", "none of it measured", "look at the depth sensor")
    # Heights are averaged where they are known, with what is missing around them left out.
    share = resampled(known.astype(np.float32), canvas_px[1], canvas_px[0])
    total = resampled(np.where(known, heights, np.float32(0)), canvas_px[1], canvas_px[0])
    values = np.divide(total, share, out=np.full(canvas_px, np.nan, dtype=np.float32), where=share > 0)
    return Heights(filled(values), float(1 - known.mean()))


def read_depth(data: bytes, max_pixels: int, page: int, size_px: Size | None = None) -> HeightMap:
    """The heights (H, W) on one page of a TIFF (`tiff.read_heights`). Raises ImageRejected for any that cannot be
    used."""
    try:
        return tiff.read_heights(data, max_pixels, page, size_px)
    except ImageRejected:
        raise
    except Exception as error:  # tifffile and its decoders raise whatever damaged data makes of them
        raise rejected("a readable depth page", f"{type(error).__name__}: {error}", "check camera and cable") from error
