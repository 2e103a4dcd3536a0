"""The region of interest: what lies in it, and which polygons are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from versions import version

from memory.region import Region, RegionRejected, region_of

LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
CORNER = ((0.0, 0.0), (0.25, 0.0), (0.25, 0.25), (0.0, 0.25))


def test_without_polygons_it_is_the_whole_image() -> None:
    assert Region().everything
    assert Region().inside(5, 7).all()
    assert Region().to_json() == {}


def test_what_is_ignored_lies_outside() -> None:
    inside = Region((LEFT_HALF,), (CORNER,)).inside(8, 16)
    wanted = np.zeros((8, 16), dtype=bool)
    wanted[:, :8] = True
    wanted[:2, :4] = False
    assert np.array_equal(inside, wanted)


def test_several_polygons_are_joined() -> None:
    right = tuple((1 - x, y) for x, y in LEFT_HALF)
    assert Region((LEFT_HALF, right)).inside(6, 10).all()


@given(st.tuples(*[st.floats(0, 1)] * 4), st.integers(1, 60), st.integers(1, 60))
def test_a_box_holds_the_pixels_whose_centres_lie_in_it(box: tuple[float, ...], height: int, width: int) -> None:
    left, right = sorted(box[:2])
    top, bottom = sorted(box[2:])
    if (right - left) * (bottom - top) == 0:
        return
    inside = Region((((left, top), (right, top), (right, bottom), (left, bottom)),)).inside(height, width)
    across, down = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    clear = 1e-9  # from the edges, where rounding decides
    for wanted, by in ((True, clear), (False, -clear)):
        in_x = (across > left + by) & (across < right - by)
        in_y = (down > top + by) & (down < bottom - by)
        within = in_y[:, None] & in_x[None, :]
        assert (inside | ~within if wanted else ~inside | within).all()


@pytest.mark.parametrize(
    ("polygon", "expected"),
    [
        (((0.1, 0.1), (0.9, 0.9)), "3 to 64 points"),
        (tuple((np.cos(i / 11) / 2 + 0.5, np.sin(i / 11) / 2 + 0.5) for i in range(65)), "3 to 64 points"),
        (((0.1, 0.1), (1.1, 0.1), (0.5, 0.9)), "inside the image"),
        (((0.1, 0.1), (float("nan"), 0.1), (0.5, 0.9)), "inside the image"),
        (((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)), "do not cross"),
        (((0.1, 0.1), (0.5, 0.5), (0.9, 0.9)), "an area"),
    ],
)
def test_what_is_no_polygon_is_refused(polygon: tuple[tuple[float, float], ...], expected: str) -> None:
    with pytest.raises(RegionRejected, match=expected):
        Region((polygon,))


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"inside": []},
        {"include": 3},
        {"include": [[[0, 0], [1, "a"], [1, 1]]]},
        {"include": [[[0, 0], [10**400, 0], [1, 1]]]},
    ],
)
def test_other_json_is_refused(record: object) -> None:
    with pytest.raises(RegionRejected):
        Region.of(record)  # type: ignore[arg-type]  # what a person may have typed


def test_json_gives_the_same_region() -> None:
    region = Region((LEFT_HALF,), (CORNER,))
    assert Region.of(region.to_json()) == region


def test_a_version_that_names_no_region_judges_the_whole_image() -> None:
    assert region_of(version()).everything
