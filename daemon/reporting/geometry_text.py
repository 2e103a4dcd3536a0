"""The geometry of a version in words."""

from __future__ import annotations

from memory.canvas import Canvas
from memory.geometry import Geometry

FULL = 0.02  # how far a scale may be from 1 by the rounding of the canvas


def geometry_text(canvas: Canvas, stated_bits: int | None) -> str:
    """What is judged, in one line for people: the size of the images, at which resolution and where they are judged,
    and their intensity window. `stated_bits` is `source.bits` when it was taught."""
    geometry = canvas.geometry
    parts = [_images(geometry), _judged(canvas)]
    if canvas.inside is not None:
        parts.append(f"in a region of {canvas.inside.mean():.0%} of the image")
    if geometry.depth is not None:
        parts.append(f"with depth, heights from {geometry.depth.low:.4g} to {geometry.depth.high:.4g}")
    text = ", ".join(parts)
    return text if geometry.bits is None else f"{text}; {_bits(geometry.bits, stated_bits)}"


def _images(geometry: Geometry) -> str:
    if geometry.image_px is None:
        height, width = geometry.canvas_px
        return f"images of many sizes, each squeezed to {width}×{height} px"
    height, width = geometry.image_px
    return f"images of {width}×{height} px"


def _judged(canvas: Canvas) -> str:
    count = len(canvas.tiling.starts)
    tiles = "one tile" if count == 1 else f"{count} tiles"
    scale = canvas.geometry.scale
    if scale is None:
        return f"judged in {tiles}"
    if abs(scale - 1) < FULL:
        return f"judged at full resolution in {tiles}"
    return f"judged at {scale:.2f} times their size in {tiles}"


def _bits(bits: int, stated_bits: int | None) -> str:
    if stated_bits is not None:
        return f"{bits} bits, as source.bits says"
    return f"{bits} bits, found in the taught parts: set source.bits if the camera has more"
