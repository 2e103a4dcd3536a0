"""The canvas of a version: its geometry made ready for use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from memory.geometry import Geometry, InputShapes, cells_inside
from memory.region import Inside
from memory.tiles import Tiling, one_tile, tiling


@dataclass(frozen=True, eq=False)
class Canvas:
    """A version's geometry, with the pixels (H, W) of the canvas that lie `inside` its region, None where that is the
    whole image, and the tiles that are judged."""

    geometry: Geometry
    inside: Inside | None
    tiling: Tiling


@lru_cache(maxsize=8)
def canvas_of(geometry: Geometry, shapes: InputShapes) -> Canvas:
    """The canvas of a geometry for this network; the same object for equal arguments, while it is among the last."""
    inside = geometry.inside()
    if not geometry.anti_aliased:  # a network's own square, which need not be a multiple of its patches
        return Canvas(geometry, inside, one_tile(geometry.canvas_px, shapes.own_grid))
    wanted = None if inside is None else cells_inside(inside, shapes.stride_px)
    tiles = tiling(geometry.canvas_px, geometry.tile_px, shapes.stride_px, shapes.multiple_px, wanted)
    return Canvas(geometry, inside, tiles)
