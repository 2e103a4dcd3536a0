"""Tiles: every cell has its patch, from a tile in which it lies well inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.features import Image, Patches
from memory.tiles import MOST_SIDE_PX, OVERLAP_PX, Tiling, tile_side, tiling

STRIDE_PX, MULTIPLE_PX = 8, 16
SIDES = st.integers(1, 160).map(lambda n: n * MULTIPLE_PX)


def means(tiles: Image) -> Patches:
    """A network that knows a patch by its own pixels alone: their mean (N, P, 1)."""
    n, height, width, _ = tiles.shape
    parted = tiles[..., 0].reshape(n, height // STRIDE_PX, STRIDE_PX, width // STRIDE_PX, STRIDE_PX)
    return parted.mean(axis=(2, 4), dtype=np.float32).reshape(n, -1, 1)


def cut(height: int, width: int, wanted: np.ndarray | None = None) -> Tiling:
    tile_px = (tile_side(height, MULTIPLE_PX), tile_side(width, MULTIPLE_PX))
    return tiling((height, width), tile_px, STRIDE_PX, MULTIPLE_PX, wanted)


@given(SIDES, SIDES)
def test_tiles_lie_in_the_canvas_and_give_every_cell(height: int, width: int) -> None:
    tiles = cut(height, width)
    assert (tiles.starts >= 0).all()
    assert (tiles.starts + np.array(tiles.tile_px) <= (height, width)).all()
    assert (tiles.starts % MULTIPLE_PX == 0).all()
    assert max(tiles.tile_px) <= MOST_SIDE_PX
    assert np.array_equal(tiles.cells, np.arange(height * width // STRIDE_PX**2))


@given(SIDES, SIDES)
def test_a_cell_comes_from_the_inside_of_its_tile(height: int, width: int) -> None:
    tiles = cut(height, width)
    rows, columns = np.divmod(tiles.cells, tiles.grid[1])
    place = np.stack(np.divmod(tiles.place, tiles.tile_px[1] // STRIDE_PX), axis=1) * STRIDE_PX
    assert np.array_equal(tiles.starts[tiles.tile] + place, np.stack([rows, columns], axis=1) * STRIDE_PX)
    for axis, side in enumerate((height, width)):
        start = tiles.starts[tiles.tile, axis]
        margin = OVERLAP_PX // 2 - MULTIPLE_PX
        assert ((place[:, axis] >= margin) | (start == 0)).all()
        end = start + tiles.tile_px[axis]
        assert ((place[:, axis] + STRIDE_PX + margin <= tiles.tile_px[axis]) | (end == side)).all()


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_patches_are_those_of_the_whole_canvas(batch: int, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (1040, 624, 3), dtype=np.uint8)
    tiles = cut(1040, 624)
    assert len(tiles.starts) == 6
    assert np.array_equal(tiles.patches(image, means, batch), means(image[None])[0])


def test_tiles_outside_the_region_are_not_computed() -> None:
    wanted = np.zeros((2048 // STRIDE_PX, 2448 // STRIDE_PX), dtype=bool)
    wanted[:20, :30] = True
    tiles = cut(2048, 2448, wanted)
    assert len(tiles.starts) == 1
    assert np.array_equal(tiles.cells, np.flatnonzero(wanted))


def test_some_tiles_give_their_own_cells(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (2048, 2448, 3), dtype=np.uint8)
    some = cut(2048, 2448).some(4)
    assert len(some.starts) == 4
    assert np.array_equal(some.patches(image, means, 2), means(image[None])[0][some.cells])


def test_another_number_of_patches_than_a_tile_has_is_refused() -> None:
    tiles = cut(64, 64)
    with pytest.raises(ValueError, match=r"expected 64 patches of each tile; came \(1, 63\)"):
        tiles.patches(np.zeros((64, 64, 3), dtype=np.uint8), lambda image: means(image)[:, :-1], 1)


@pytest.mark.parametrize("side_px", [32, 64, 96])
def test_small_tiles_of_a_fixed_network_cover_the_canvas(side_px: int, rng: np.random.Generator) -> None:
    tiles = tiling((192, 320), (side_px, side_px), STRIDE_PX, MULTIPLE_PX, None)
    image = rng.integers(0, 256, (192, 320, 3), dtype=np.uint8)
    assert np.array_equal(tiles.patches(image, means, 4), means(image[None])[0])


def test_a_network_of_fixed_size_has_its_own_tiles() -> None:
    tiles = tiling((512, 700 // 14 * 14), (224, 224), 14, 14, None)
    assert tiles.tile_px == (224, 224)
    assert len(tiles.cells) == (512 // 14) * 50
