"""Tiles: how a canvas is cut into overlapping tiles, and which tile gives each cell its patch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from memory.features import Cells, Image, Patches
from memory.region import Inside

# Of convolutional networks; a fixed one has its own side.
MOST_SIDE_PX = 512
# A tile's border is judged by padding instead of by its surroundings, so each cell comes from where it is innermost.
OVERLAP_PX = 64


@dataclass(frozen=True, eq=False)
class Tiling:
    """The tiles of a canvas.

    `starts` (k, 2) are the upper left corners (top, left) in pixels of the tiles, all of size `tile_px` (height,
    width) and of `tile_patches` patches. `cells` (n,) of the `grid` (rows, columns) have a patch: that with the number
    `place` (n,) in its `tile` (n,).
    """

    tile_px: tuple[int, int]
    tile_patches: int
    starts: npt.NDArray[np.int64]
    grid: tuple[int, int]
    cells: Cells
    tile: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]

    def patches(self, image: Image, extract: Callable[[Image], Patches], batch: int) -> Patches:
        """The patches (n, D) of a canvas (H, W, 3) u8; `extract` gives those of at most `batch` tiles, (N, h, w, 3) to
        (N, P, D). Raises ValueError where P is not `tile_patches`."""
        height, width = self.tile_px
        parts = []
        for first in range(0, len(self.starts), batch):
            starts = self.starts[first : first + batch].tolist()
            tiles = np.stack([image[top : top + height, left : left + width] for top, left in starts])
            patches = extract(tiles)
            if patches.shape[:2] != (len(tiles), self.tile_patches):
                raise ValueError(f"expected {self.tile_patches} patches of each tile; came {patches.shape[:2]}")
            if self._is_one_tile:
                whole: Patches = patches[0]
                return whole
            own = (self.tile >= first) & (self.tile < first + batch)
            parts.append((own, patches[self.tile[own] - first, self.place[own]]))
        if len(parts) == 1:
            return parts[0][1]
        every = np.empty((len(self.cells), parts[0][1].shape[1]), dtype=np.float32)
        for own, patches in parts:
            every[own] = patches
        return every

    @cached_property
    def _is_one_tile(self) -> bool:
        """Whether a single tile gives every patch that it has, in their order."""
        return len(self.starts) == 1 and bool(np.array_equal(self.place, np.arange(self.tile_patches)))

    def first(self, image: Image) -> Image:
        """The first tile (h, w, 3) of a canvas."""
        top, left = self.starts[0].tolist()
        return image[top : top + self.tile_px[0], left : left + self.tile_px[1]]

    def some(self, most: int) -> Tiling:
        """At most `most` of the tiles, spread evenly, with the cells that come from them."""
        if len(self.starts) <= most:
            return self
        chosen = np.linspace(0, len(self.starts) - 1, most).round().astype(np.int64)
        number = np.full(len(self.starts), -1)
        number[chosen] = np.arange(most)
        kept = number[self.tile] >= 0
        return replace(
            self,
            starts=self.starts[chosen],
            cells=self.cells[kept],
            tile=number[self.tile[kept]],
            place=self.place[kept],
        )


def tile_side(side_px: int, multiple_px: int) -> int:
    """The side of tiles along a canvas' side, both multiples of `multiple_px`: the whole side up to `MOST_SIDE_PX`,
    else the least with which as few tiles as possible overlap by `OVERLAP_PX`."""
    if side_px <= MOST_SIDE_PX:
        return side_px
    count = math.ceil((side_px - OVERLAP_PX) / (MOST_SIDE_PX - OVERLAP_PX))
    return math.ceil(((side_px - OVERLAP_PX) / count + OVERLAP_PX) / multiple_px) * multiple_px


def tiling(
    canvas_px: tuple[int, int], tile_px: tuple[int, int], stride_px: int, multiple_px: int, wanted: Inside | None
) -> Tiling:
    """The tiles of a canvas (height, width) for a network whose patches are `stride_px` a side.

    Only cells that are `wanted` (rows, columns), all where that is None, have a patch, and only tiles that give one are
    computed. Tiles begin at multiples of `multiple_px`, so that a tile's coarser maps lie as they would in the canvas.
    """
    grid = (canvas_px[0] // stride_px, canvas_px[1] // stride_px)
    tops, row_tile, row = _along(canvas_px[0], tile_px[0], stride_px, multiple_px)
    lefts, column_tile, column = _along(canvas_px[1], tile_px[1], stride_px, multiple_px)
    tile = row_tile[:, None] * len(lefts) + column_tile[None, :]  # (rows, columns)
    within = row[:, None] * (tile_px[1] // stride_px) + column[None, :]
    cells = np.arange(grid[0] * grid[1]) if wanted is None else np.flatnonzero(wanted)
    used, number = np.unique(tile.reshape(-1)[cells], return_inverse=True)
    starts = np.stack([np.array(tops)[used // len(lefts)], np.array(lefts)[used % len(lefts)]], axis=1)
    patches = (tile_px[0] // stride_px) * (tile_px[1] // stride_px)
    return Tiling(tile_px, patches, starts, grid, cells, number, within.reshape(-1)[cells])


def one_tile(canvas_px: tuple[int, int], grid: tuple[int, int]) -> Tiling:
    """The whole canvas (height, width) as one tile, of which the network makes this grid of patches (rows, columns)."""
    cells = np.arange(grid[0] * grid[1])
    first = np.zeros_like(cells)
    return Tiling(canvas_px, len(cells), np.zeros((1, 2), dtype=np.int64), grid, cells, first, cells)


def _along(
    side_px: int, tile_px: int, stride_px: int, multiple_px: int
) -> tuple[list[int], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The tiles' starts along one side, and for each cell along it its tile, and its number in that tile: where it lies
    farthest from the tile's borders."""
    overlap_px = min(OVERLAP_PX, tile_px // 2)
    count = 1 if tile_px >= side_px else math.ceil((side_px - overlap_px) / (tile_px - overlap_px))
    span = side_px - tile_px
    starts = [round(i * span / max(count - 1, 1) / multiple_px) * multiple_px for i in range(count)]
    cells = np.arange(side_px // stride_px)
    centres = np.array(starts)[:, None] + tile_px / 2
    tile = np.abs((cells + 0.5) * stride_px - centres).argmin(axis=0)
    return starts, tile, cells - np.array(starts)[tile] // stride_px
