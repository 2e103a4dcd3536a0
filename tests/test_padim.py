"""PaDiM: a Gaussian for each place, learned part by part, scored without a part as if it had never been taught."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.detector import Bounds, Capacity, GoodPart
from memory.errors import UnsuitableImages
from memory.features import Features, View
from memory.learners import learner_of
from memory.padim.detector import PADIM, REGULAR, Padim
from memory.padim.learner import PadimLearner

GRID, WIDTH = (2, 3), 5
CAPACITY = Capacity(1000, 100)
LENIENT = Bounds(threshold=1e9, novelty=1e9)


def part(name: str, patches: npt.NDArray[np.float32]) -> GoodPart:
    return GoodPart(name, View(Features(patches, GRID)))


def parts(count: int, seed: int = 0) -> list[GoodPart]:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(count, 6, WIDTH)).astype(np.float16).astype(np.float32)
    return [part(f"{number}.png", patches) for number, patches in enumerate(drawn)]


def fitted(goods: Sequence[GoodPart]) -> Padim:
    return PadimLearner().fit(goods, CAPACITY, 0)


def by_the_formula(goods: Sequence[GoodPart], view: View) -> float:
    """Equations 1 and 2, place by place."""
    every = np.stack([good.view.features.patches for good in goods]).astype(np.float64)
    distances = []
    for place, shown in enumerate(view.features.patches.astype(np.float64)):
        covariance = np.cov(every[:, place], rowvar=False, ddof=1) + REGULAR * np.eye(WIDTH)
        away = shown - every[:, place].mean(axis=0)
        distances.append(float(np.sqrt(away @ np.linalg.solve(covariance, away))))
    return max(distances)


def test_a_score_is_the_largest_mahalanobis_distance() -> None:
    goods, (other,) = parts(12), parts(1, seed=7)
    padim = fitted(goods)
    score = padim.score(other.view)
    assert score.value == pytest.approx(by_the_formula(goods, other.view), rel=1e-4)
    assert score.map.shape == GRID
    assert score.map.max() == np.float32(score.value)
    at = tuple(score.evidence["at"])
    assert score.map[at] == score.map.max()


@given(st.integers(2, 20), st.integers(0, 5))
@settings(max_examples=25)
def test_a_score_without_a_part_is_as_if_it_had_never_been_taught(count: int, seed: int) -> None:
    goods = parts(count, seed)
    padim = fitted(goods)
    for left_out in goods[:3]:
        others = [good for good in goods if good is not left_out]
        expected = fitted(others).score(left_out.view).value
        assert padim.score_without(left_out.view, left_out.sample).value == pytest.approx(expected, rel=2e-3)


def test_a_score_without_a_part_goes_by_what_was_taught_of_it() -> None:
    goods = parts(10)
    taught = goods[0].view.features
    nearly = Features(taught.patches + np.float32(0.01), GRID)  # as another backend computes it
    expected = fitted(goods[1:]).score(View(nearly)).value
    padim = fitted(goods)
    found = padim.score_without(View(nearly, reference=taught), goods[0].sample).value
    assert found == pytest.approx(expected, rel=2e-3)


def test_who_was_not_taught_scores_as_ever() -> None:
    padim, (other,) = fitted(parts(6)), parts(1, seed=7)
    assert padim.score_without(other.view, "other").value == padim.score(other.view).value


def test_a_score_without_a_part_is_finite_however_far_off_it_is() -> None:
    goods = [*parts(3), part("far", np.full((6, WIDTH), 1000.0, np.float32))]
    left_out = fitted(goods).score_without(goods[-1].view, "far")
    assert np.isfinite(left_out.map).all()
    assert left_out.value > 100


def test_parts_may_come_one_by_one() -> None:
    goods, (other,) = parts(12), parts(1, seed=7)
    grown = fitted(goods[:5])
    for good in goods[5:]:
        extension = PadimLearner().extend(grown, [good], (), LENIENT, (), CAPACITY, 0)
        assert extension.learned
        assert isinstance(extension.detector, Padim)
        grown = extension.detector
    assert grown.samples == fitted(goods).samples
    assert grown.score(other.view).value == pytest.approx(fitted(goods).score(other.view).value, rel=1e-4)


def test_no_part_counts_twice() -> None:
    goods = parts(6)
    padim = fitted(goods)
    extension = PadimLearner().extend(padim, goods[:2], (), LENIENT, (), CAPACITY, 0)
    assert (extension.detector, extension.learned) == (padim, False)


def strange_at(number: int, place: int) -> GoodPart:
    """A part that is far off at one place alone."""
    patches = np.zeros((6, WIDTH), np.float32)
    patches[place] = 60.0
    return part(f"spot{number}", patches)


def test_something_new_waits_for_a_second_part() -> None:
    padim, strict = fitted(parts(8)), Bounds(threshold=3.0, novelty=2.0)
    odd = [part(f"odd{n}", np.full((6, WIDTH), 9.0, np.float32)) for n in range(2)]
    spots = [strange_at(number, place) for number, place in enumerate((0, 2))]
    apart = PadimLearner().extend(padim, spots, (), Bounds(40.0, 30.0), (), CAPACITY, 0)
    assert (apart.learned, apart.waiting) == (False, ("spot0", "spot1")), "each is new elsewhere"
    same = GoodPart("again", odd[0].view, part="odd0")
    alone = PadimLearner().extend(padim, odd[:1], (), strict, (), CAPACITY, 0)
    assert (alone.learned, alone.waiting) == (False, ("odd0",))
    twice = PadimLearner().extend(padim, [odd[0], same], (), strict, ("odd0",), CAPACITY, 0)
    assert (twice.learned, twice.waiting) == (False, ("odd0", "again")), "two images of one part are one"
    both = PadimLearner().extend(padim, odd, (), strict, ("odd0",), CAPACITY, 0)
    assert (both.learned, both.waiting) == (True, ())
    assert both.detector.samples[-2:] == ("odd0", "odd1")


def test_it_comes_back_from_disk_bit_for_bit() -> None:
    padim, (other,) = fitted(parts(9)), parts(1, seed=7)
    again = learner_of(PADIM).load(padim.arrays(), padim.samples)
    assert np.array_equal(again.score(other.view).map, padim.score(other.view).map)
    with pytest.raises(ValueError, match="moments of"):
        learner_of(PADIM).load({**padim.arrays(), "mean": padim.mean[:-1]}, padim.samples)


def test_a_mask_looks_at_its_places_alone() -> None:
    padim, (other,) = fitted(parts(9)), parts(1, seed=7)
    mask = np.zeros(GRID, dtype=bool)
    mask[1, 2] = True
    found = padim.score_in(other.view, mask)
    assert found.value == padim.score(other.view).map[1, 2]
    assert np.count_nonzero(found.map) == 1


def test_parts_with_other_places_are_refused() -> None:
    fewer = GoodPart("fewer", View(Features(np.zeros((2, WIDTH), np.float32), GRID, np.array([0, 1]))))
    with pytest.raises(UnsuitableImages, match="patches of fewer"):
        fitted([*parts(4), fewer])
    with pytest.raises(UnsuitableImages, match="patches of fewer"):
        fitted(parts(4)).with_parts([fewer])
