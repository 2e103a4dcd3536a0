"""The geometry of a version in words."""

from __future__ import annotations

import pytest

from daemon.reporting.geometry_text import geometry_text
from memory.canvas import canvas_of
from memory.geometry import Geometry, InputShapes, geometry_of
from memory.region import Region

TINY = InputShapes(stride_px=8, multiple_px=16, input_px=256, own_grid=(32, 32), fixed=False)
LARGE, MANY = [(2048, 2448)] * 5, [(200 + n, 300) for n in range(5)]
QUARTER = Region((((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)),))


def text(geometry: Geometry, stated_bits: int | None = None) -> str:
    return geometry_text(canvas_of(geometry, TINY), stated_bits)


def test_size_and_resolution_are_told() -> None:
    whole = geometry_of(LARGE, TINY, Region(), None)
    assert text(whole) == "images of 2448×2048 px, judged at 0.12 times their size in one tile"
    fine = geometry_of(LARGE, TINY, Region(), None, smallest_defect_px=6)
    assert text(fine) == "images of 2448×2048 px, judged at full resolution in 30 tiles"
    odd = geometry_of([(500, 1250)] * 5, TINY, Region(), None, scale=1.0)
    assert text(odd).endswith("judged at full resolution in 3 tiles"), "its canvas is 496 by 1248"
    many = geometry_of(MANY, TINY, Region(), None)
    assert text(many) == "images of many sizes, each squeezed to 384×256 px, judged in one tile"


def test_the_region_is_told_by_its_share_of_the_image() -> None:
    fine = geometry_of(LARGE, TINY, QUARTER, None, smallest_defect_px=6)
    assert text(fine) == "images of 2448×2048 px, judged at full resolution in 9 tiles, in a region of 25% of the image"


@pytest.mark.parametrize(
    ("bits", "stated", "told"),
    [
        (12, None, "in one tile; 12 bits, found in the taught parts: set source.bits if the camera has more"),
        (14, 14, "in one tile; 14 bits, as source.bits says"),
        (None, 14, "in one tile"),
    ],
)
def test_the_bit_depth_is_told_and_where_it_comes_from(bits: int | None, stated: int | None, told: str) -> None:
    assert text(geometry_of(LARGE, TINY, Region(), bits), stated).endswith(told)
