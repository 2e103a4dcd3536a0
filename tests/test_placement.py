"""Placement: parts that are shifted and turned are found and moved back; what cannot be placed is not trusted."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from daemon.datasets.rendered import Scene, part
from drift.placement import (
    LEAST_CONFIDENCE,
    TAUGHT_PARTS,
    Placement,
    PlacementTemplate,
    place,
    placed,
    placement_template,
)
from drift.signals import grey_of
from memory.features import Image

SIDE_PX = 256
UNSEEN = 100  # a part that was not taught
Shift = tuple[float, float]


def plate(number: int, shift_px: Shift = (0.0, 0.0), turn_deg: float = 0.0) -> Image:
    return grey_of(part(number, Scene(shift_px=shift_px, turn_deg=turn_deg)))


def bracket(number: int, shift_px: Shift = (0.0, 0.0), turn_deg: float = 0.0) -> Image:
    """A bright angle with two holes on a dark ground."""
    canvas = np.full((SIDE_PX, SIDE_PX), 40, dtype=np.float32)
    cv2.rectangle(canvas, (60, 50), (110, 210), 150, -1)
    cv2.rectangle(canvas, (60, 160), (200, 210), 150, -1)
    cv2.circle(canvas, (85, 80), 14, 60, -1)
    cv2.circle(canvas, (175, 185), 9, 60, -1)
    return seen(canvas, number, shift_px, turn_deg)


def connector(number: int, shift_px: Shift = (0.0, 0.0), turn_deg: float = 0.0) -> Image:
    """A dark row of eight equal pins with a key, on a bright ground."""
    canvas = np.full((SIDE_PX, SIDE_PX), 190, dtype=np.float32)
    cv2.rectangle(canvas, (40, 80), (215, 180), 70, -1)
    for pin in range(8):
        cv2.rectangle(canvas, (50 + 20 * pin, 95), (60 + 20 * pin, 165), 160, -1)
    cv2.rectangle(canvas, (190, 95), (205, 120), 230, -1)
    cv2.circle(canvas, (50, 60), 8, 90, -1)
    return seen(canvas, number, shift_px, turn_deg)


def disc(number: int, shift_px: Shift = (0.0, 0.0), turn_deg: float = 0.0) -> Image:
    """A round part, which looks the same however it is turned."""
    canvas = np.full((SIDE_PX, SIDE_PX), 40, dtype=np.float32)
    cv2.circle(canvas, (128, 128), 70, 160, -1, cv2.LINE_AA)
    cv2.circle(canvas, (128, 128), 25, 50, -1, cv2.LINE_AA)
    return seen(canvas, number, shift_px, turn_deg)


def seen(canvas: np.ndarray, number: int, shift_px: Shift, turn_deg: float) -> Image:
    """A drawn part turned clockwise about the centre, then shifted right and down, with noise of its own."""
    angle, centre = np.radians(turn_deg), (SIDE_PX - 1) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    move = np.column_stack([turn, (centre, centre) - turn @ (centre, centre) + shift_px])
    moved = cv2.warpAffine(canvas, move, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(np.rint(moved + np.random.default_rng(number).normal(0, 2, moved.shape)), 0, 255).astype(np.uint8)


KINDS: dict[str, Callable[..., Image]] = {f.__name__: f for f in (plate, bracket, connector)}
SHIFTS_PX = st.floats(-0.1 * SIDE_PX, 0.1 * SIDE_PX)


@cache
def template_of(kind: str) -> PlacementTemplate:
    return placement_template((KINDS[kind](i) for i in range(4)), None)


@cache
def at_rest(kind: str) -> Placement:
    """Where the unseen part lies before it is moved: rendered plates lie a little differently each."""
    return place(KINDS[kind](UNSEEN), template_of(kind))


def errors(found: Placement, kind: str, shift_px: Shift, turn_deg: float) -> tuple[float, float]:
    """The largest error of the shift in pixels, and that of the turn in degrees."""
    rest = at_rest(kind)
    off = np.subtract(found.shift_px, rest.shift_px) - shift_px
    return float(np.abs(off).max()), abs(found.turn_deg - rest.turn_deg - turn_deg)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.sampled_from(sorted(KINDS)), st.tuples(SHIFTS_PX, SHIFTS_PX), st.floats(-15, 15))
@example("bracket", (25.6, -25.6), 15.0)
@example("connector", (20.0, 0.0), 0.0)  # by the distance of two pins
def test_a_shifted_and_turned_part_is_found(kind: str, shift_px: Shift, turn_deg: float) -> None:
    found = place(KINDS[kind](UNSEEN, shift_px, turn_deg), template_of(kind))
    wrong_px, wrong_deg = errors(found, kind, shift_px, turn_deg)
    assert found.trusted
    assert wrong_px < 1
    assert wrong_deg < 0.5


@pytest.mark.parametrize("kind", ["bracket", "connector"])
def test_a_part_where_it_was_taught_is_not_moved(kind: str) -> None:
    rest = at_rest(kind)
    assert np.abs(rest.shift_px).max() < 0.2
    assert abs(rest.turn_deg) < 0.1
    assert rest.matrix == pytest.approx(np.eye(2, 3), abs=0.5)
    assert rest.confidence > 0.95


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (0.7, 60), (1.2, -10)])
def test_light_does_not_matter(kind: str, gain: float, offset: float) -> None:
    image = KINDS[kind](UNSEEN, (12.0, -7.0), 6.0)
    found = place(np.clip(image * gain + offset, 0, 255).astype(np.uint8), template_of(kind))
    assert found.trusted
    assert found.confidence == pytest.approx(place(image, template_of(kind)).confidence, abs=0.02)
    assert max(errors(found, kind, (12.0, -7.0), 6.0)) < 0.4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [70, 128, 186])
@pytest.mark.parametrize("y", [70, 128, 186])
def test_a_dark_blot_over_a_tenth_of_the_image_spoils_nothing(kind: str, x: int, y: int) -> None:
    image = KINDS[kind](UNSEEN, (-14.0, 9.0), -8.0)
    cv2.circle(image, (x, y), round((0.1 * image.size / np.pi) ** 0.5), 15, -1)
    found = place(image, template_of(kind))
    assert found.trusted
    assert max(errors(found, kind, (-14.0, 9.0), -8.0)) < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_a_placed_image_lies_like_the_taught_parts(kind: str) -> None:
    there, moved = KINDS[kind](UNSEEN), KINDS[kind](UNSEEN, (18.0, 11.0), -12.0)
    back = placed(cv2.cvtColor(moved, cv2.COLOR_GRAY2RGB), place(moved, template_of(kind)))
    rest = placed(cv2.cvtColor(there, cv2.COLOR_GRAY2RGB), at_rest(kind))
    middle = (slice(50, -50), slice(50, -50))
    off, off_before = (np.abs(a[middle].astype(float) - b[middle]).mean() for a, b in ((back, rest), (moved, there)))
    assert off < 5
    assert off < off_before / 4


def test_placing_moves_pixels_by_the_matrix_and_replicates_the_edges() -> None:
    image = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    left_and_up = Placement(np.array([[1.0, 0, -2], [0, 1, -1]]), (2.0, 1.0), 0.0, 1.0, True)
    rows, columns = [1, 2, 3, 4, 4], [2, 3, 4, 4, 4]
    assert placed(image, left_and_up).tolist() == image[np.ix_(rows, columns)].tolist()
    half = Placement(np.array([[1.0, 0, -0.5], [0, 1, 0]]), (0.5, 0.0), 0.0, 1.0, True)
    assert placed(np.full((1, 2, 3), [[[10], [30]]], dtype=np.uint8), half)[0, 0].tolist() == [20, 20, 20]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_part_is_not_trusted(kind: str) -> None:
    others = [draw for name, draw in KINDS.items() if name != kind] + [disc]
    for draw in others:
        assert not place(draw(UNSEEN, (8.0, -5.0), 4.0), template_of(kind)).trusted


@pytest.mark.parametrize("kind", KINDS)
def test_images_without_a_part_are_not_trusted(kind: str, rng: np.random.Generator) -> None:
    slope = np.tile(np.arange(SIDE_PX, dtype=np.uint8), (SIDE_PX, 1))
    noise = rng.integers(0, 256, (SIDE_PX, SIDE_PX), dtype=np.uint8)
    for image in (np.zeros_like(noise), np.full_like(noise, 255), slope, noise):
        found = place(image, template_of(kind))
        assert not found.trusted
        assert found.confidence < 0.4
    nowhere = place(np.zeros_like(noise), template_of(kind))
    assert (nowhere.shift_px, nowhere.turn_deg, nowhere.confidence) == ((0.0, 0.0), 0.0, 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shift_px", "turn_deg"), [((40, 0), 0), ((0, -34), 5), ((60, 30), 0), ((0, 0), 19), ((0, 0), -24)]
)
def test_a_part_too_far_off_is_not_trusted(kind: str, shift_px: Shift, turn_deg: float) -> None:
    assert not place(KINDS[kind](UNSEEN, shift_px, turn_deg), template_of(kind)).trusted


@pytest.mark.parametrize("turn_deg", [-14.0, 5.0, 90.0])
def test_a_round_part_is_moved_and_hardly_turned(turn_deg: float) -> None:
    """Its turn cannot be seen, so any would fit: a small one is taken."""
    template = placement_template((disc(i) for i in range(4)), None)
    found = place(disc(UNSEEN, (17.0, -9.0), turn_deg), template)
    assert found.trusted
    assert found.shift_px == pytest.approx((17.0, -9.0), abs=1)
    assert abs(found.turn_deg) < 6


def test_taught_parts_may_lie_differently_themselves(rng: np.random.Generator) -> None:
    motions = [(tuple(rng.uniform(-10, 10, 2)), float(rng.uniform(-5, 5))) for _ in range(6)]
    template = placement_template((bracket(i, *motion) for i, motion in enumerate(motions)), None)
    assert template.confidences.min() > 0.9
    rest, moved = (place(bracket(UNSEEN, (0.0, 0.0), turn), template) for turn in (0.0, 6.0))
    assert moved.turn_deg - rest.turn_deg == pytest.approx(6, abs=0.5)


def test_a_stray_part_among_the_taught_ones_is_left_out() -> None:
    template = placement_template([bracket(0), bracket(1), connector(2), bracket(3)], None)
    assert (template.confidences > 0.9).tolist() == [True, True, False, True]
    assert template.least_confidence > 0.55
    assert place(bracket(UNSEEN), template).confidence > 0.95


def test_parts_without_a_common_position_make_no_template(rng: np.random.Generator) -> None:
    """Grain that differs from part to part, and a single part, which can be compared with no other."""
    grain = [cv2.GaussianBlur(rng.integers(0, 256, (96, 96), dtype=np.uint8), (0, 0), 2) for _ in range(4)]
    for taught in (grain, grain[:1], [np.zeros((96, 96), dtype=np.uint8)] * 2):
        template = placement_template(taught, None)
        assert not template.usable
        assert template.least_confidence == LEAST_CONFIDENCE
        assert not place(taught[0], template).trusted


def test_what_lies_outside_the_region_does_not_count(rng: np.random.Generator) -> None:
    inside = np.zeros((SIDE_PX, SIDE_PX), dtype=np.bool_)
    inside[35:225, 45:215] = True

    def on_a_belt(image: Image) -> Image:
        stripes = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        belt = cv2.resize(stripes, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_NEAREST)
        return np.where(inside, image, belt)

    template = placement_template((on_a_belt(bracket(i)) for i in range(4)), inside)
    assert template.confidences.min() > 0.9
    found = place(on_a_belt(bracket(UNSEEN, (5.0, -4.0), 3.0)), template)
    assert found.trusted
    assert max(errors(found, "bracket", (5.0, -4.0), 3.0)) < 1


@pytest.mark.parametrize("shape", [(256, 320), (600, 1024)])
def test_shifts_are_in_pixels_of_the_whole_image(shape: tuple[int, int]) -> None:
    def large(number: int, move_px: tuple[int, int]) -> Image:
        image = cv2.resize(bracket(number), shape[::-1], interpolation=cv2.INTER_CUBIC)
        return np.roll(image, move_px, axis=(1, 0))

    template = placement_template((large(i, (0, 0)) for i in range(2)), None)
    move_px = (shape[1] // 12, -shape[0] // 15)
    found = place(large(UNSEEN, move_px), template)
    assert found.trusted
    assert found.shift_px == pytest.approx(move_px, abs=1)
    assert found.matrix == pytest.approx(np.array([[1.0, 0, -move_px[0]], [0, 1, -move_px[1]]]), abs=1)


def test_a_template_of_the_store_is_the_same_bit_for_bit() -> None:
    template = template_of("bracket")
    stored = template.arrays()
    assert {array.dtype for array in stored.values()} == {np.dtype(np.float64)}
    read = PlacementTemplate.of({name: array.copy() for name, array in stored.items()})
    assert (read.shape, read.least_confidence) == (template.shape, template.least_confidence)
    for name in ("picture", "inside", "confidences"):
        assert getattr(read, name).dtype == getattr(template, name).dtype
        assert np.array_equal(getattr(read, name), getattr(template, name))


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)


def test_the_number_of_threads_changes_nothing(threads: Callable[[int], None]) -> None:
    image = bracket(UNSEEN, (20.0, -11.0), 9.0)
    templates, found = [], []
    for count in (1, 4):
        threads(count)
        templates.append(placement_template((bracket(i) for i in range(4)), None).picture)
        found.append(place(image, template_of("bracket")))
    assert np.array_equal(*templates)
    assert np.array_equal(found[0].matrix, found[1].matrix)
    assert found[0].confidence == found[1].confidence


@pytest.mark.slow
def test_many_taught_parts_are_read_one_by_one_and_some_make_the_template() -> None:
    made: list[weakref.ref[Image]] = []

    def parts() -> Iterator[Image]:
        for i in range(70):
            image = cv2.resize(bracket(i), (64, 64), interpolation=cv2.INTER_AREA)
            made.append(weakref.ref(image))
            yield image
            assert sum(one() is not None for one in made) <= 2

    template = placement_template(parts(), None)
    assert len(template.confidences) == 18 <= TAUGHT_PARTS, "every fourth of 70"


ANY_IMAGE = arrays_of.arrays(np.uint8, (9, 23), elements=st.sampled_from([0, 1, 128, 255]))


@settings(max_examples=30)
@given(st.lists(ANY_IMAGE, min_size=1, max_size=3), ANY_IMAGE)
def test_any_image_gets_an_answer(taught: list[Image], image: Image) -> None:
    found = place(image, placement_template(taught, None))
    assert np.isfinite(found.matrix).all()
    assert 0 <= found.confidence <= 1


def test_images_and_regions_that_do_not_fit_are_refused() -> None:
    image, everywhere = np.zeros((8, 9), dtype=np.uint8), np.ones((8, 9), dtype=np.bool_)
    with pytest.raises(ValueError, match="at least one taught part"):
        placement_template([], None)
    with pytest.raises(ValueError, match=r"came \(9, 8\) after \(8, 9\)"):
        placement_template([image, image.T], None)
    with pytest.raises(ValueError, match="grey images"):
        placement_template([np.zeros((8, 9, 3), dtype=np.uint8)], None)
    for region in (~everywhere, everywhere.T):
        with pytest.raises(ValueError, match=r"expected a region of \(8, 9\)"):
            placement_template([image], region)
    with pytest.raises(ValueError, match=r"expected a grey image of \(8, 9\)"):
        place(image.T, placement_template([image], everywhere))
