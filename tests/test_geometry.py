"""The geometry of a version: found from its taught images, and what it asks of later ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memory.geometry import (
    Geometry,
    GeometryError,
    InputShapes,
    cells_inside,
    common_size,
    geometry_of,
    same_canvas,
    scale_for,
)
from memory.region import Region

TINY = InputShapes(stride_px=8, multiple_px=16, input_px=256, own_grid=(32, 32), fixed=False)
VIT = InputShapes(stride_px=14, multiple_px=14, input_px=224, own_grid=(16, 16), fixed=True)
SMALL = ((0.5, 0.5), (0.501, 0.5), (0.501, 0.501), (0.5, 0.501))


def box(left: float, top: float, right: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


@pytest.mark.parametrize(
    ("size", "canvas", "tile"),
    [
        ((256, 256), (256, 256), (256, 256)),
        ((1250, 500), (640, 256), (352, 256)),
        ((2048, 2448), (256, 304), (256, 304)),
        ((100, 2000), (112, 2288), (112, 512)),
    ],
)
def test_the_shorter_side_becomes_the_network_s_input(
    size: tuple[int, int], canvas: tuple[int, int], tile: tuple[int, int]
) -> None:
    found = geometry_of([size] * 5, TINY, Region(), None)
    assert (found.image_px, found.canvas_px, found.tile_px) == (size, canvas, tile)


def test_the_smallest_defect_chooses_the_scale() -> None:
    found = geometry_of([(2048, 2448)] * 5, TINY, Region(), None, smallest_defect_px=6)
    assert found.canvas_px == (2048, 2448)
    assert found.scale == 1.0
    assert scale_for(28, 8) == pytest.approx(np.sqrt(3) * 8 / 28)


def test_a_large_smallest_defect_makes_no_coarser_version_than_none() -> None:
    usual = geometry_of([(2048, 2448)] * 5, TINY, Region(), None)
    assert geometry_of([(2048, 2448)] * 5, TINY, Region(), None, smallest_defect_px=2000) == usual


def test_a_network_whose_patches_lie_unevenly_is_refused() -> None:
    inception = replace(VIT, stride_px=8, multiple_px=32, input_px=512, own_grid=(60, 60))
    with pytest.raises(GeometryError, match="60 rows of patches in 512 px"):
        geometry_of([(1000, 700)] * 5, inception, Region(), None)


def test_a_network_of_fixed_size_has_tiles_of_it() -> None:
    found = geometry_of([(1000, 700)] * 5, VIT, Region(), None)
    assert (found.canvas_px, found.tile_px) == ((322, 224), (224, 224))


def test_images_of_many_sizes_have_one_canvas_and_any_size_is_taken() -> None:
    found = geometry_of([(200, 300), (220, 310), (210, 330)], TINY, Region(), None)
    assert (found.image_px, found.canvas_px) == (None, (256, 384))
    found.check(17, 4000)


def test_one_image_of_another_camera_does_not_change_the_geometry() -> None:
    assert common_size([(480, 640)] * 99 + [(1024, 1280)]) == (480, 640)
    assert common_size([(480, 640), (1024, 1280)]) is None


def test_another_size_is_refused_with_what_to_do() -> None:
    found = geometry_of([(480, 640)] * 5, TINY, Region(), None)
    found.check(480, 640)
    with pytest.raises(GeometryError, match=r"640×480 px, as taught; came 480×640 px; .*teach again"):
        found.check(640, 480)


def test_a_region_without_a_patch_is_refused() -> None:
    with pytest.raises(GeometryError, match="at least one patch"):
        geometry_of([(480, 640)] * 5, TINY, Region((SMALL,)), None)
    with pytest.raises(GeometryError, match="at least one patch"):
        geometry_of([(480, 640)] * 5, TINY, Region(ignore=(box(0, 0, 1, 1),)), None)


def test_a_cell_belongs_to_the_region_by_half_of_its_pixels() -> None:
    inside = np.zeros((16, 24), dtype=bool)
    inside[:, :12] = True
    assert cells_inside(inside, 8).tolist() == [[True, True, False]] * 2


def test_json_gives_the_same_geometry() -> None:
    for region in (Region(), Region((box(0.1, 0.1, 0.9, 0.9),), (box(0.2, 0.2, 0.3, 0.3),))):
        found = geometry_of([(480, 640)] * 5, TINY, region, 12, scale=0.5)
        assert Geometry.of(found.to_json(), 256) == found
    mixed = geometry_of([(480, 640), (400, 640)], TINY, Region(), None)
    assert Geometry.of(mixed.to_json(), 256) == mixed


@pytest.mark.parametrize(
    ("size", "shrink"),
    [
        ((1024, 1300), 2),
        ((1023, 1300), 1),
        ((1022, 4000), 1),
        ((1025, 4000), 1),
        ((2048, 2448), 4),
        ((2046, 2446), 2),
        ((4000, 5000), 4),
        ((4096, 5120), 8),
    ],
)
def test_jpegs_much_larger_than_the_canvas_are_decoded_smaller(size: tuple[int, int], shrink: int) -> None:
    """Never below twice the canvas, and only to whole pixels."""
    found = geometry_of([size] * 5, TINY, Region(), None)
    assert found.shrink == shrink
    assert found.least_px == ((size[1] // shrink, size[0] // shrink) if shrink > 1 else None)
    assert Geometry.of(found.to_json(), 256) == found
    assert ("shrink" in found.to_json()) is (shrink > 1)


def test_what_was_taught_by_whole_images_stays_so() -> None:
    """Versions before Driftline could, those judged finely, and those of many sizes, as they always were."""
    taught = geometry_of([(2048, 2448)] * 5, TINY, Region(), None)
    older = {name: value for name, value in taught.to_json().items() if name != "shrink"}
    assert Geometry.of(older, 256) == replace(taught, shrink=1)
    assert Geometry.of(older, 256).least_px is None
    assert not geometry_of([(2048, 2448)] * 5, TINY, Region(), None, smallest_defect_px=6).shrink > 1
    mixed = geometry_of([(1024, 1300), (2048, 2448)], TINY, Region(), None)
    assert (mixed.shrink, mixed.least_px) == (1, mixed.canvas_px[::-1])


def test_a_jpeg_lies_alike_however_small_it_is_decoded() -> None:
    taught = geometry_of([(2048, 2448)] * 5, TINY, Region(), None)
    assert same_canvas(taught.to_json(), replace(taught, shrink=1).to_json())
    assert not same_canvas(taught.to_json(), replace(taught, shrink=1, bits=12).to_json())


def test_versions_that_state_no_geometry_squeeze_images() -> None:
    assert Geometry.of({}, 128).canvas_px == (128, 128)
    Geometry.of({}, 128).check(40, 4000)
