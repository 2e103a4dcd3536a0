"""What each threshold would mean: rates and recall with their intervals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.outlook import choices, recall
from policies.threshold import calibrate

SCORES = st.lists(st.floats(0.01, 10), min_size=1, max_size=40)


@given(SCORES, SCORES)
def test_a_choice_is_what_calibration_gives_for_its_rate(goods: list[float], defects: list[float]) -> None:
    for choice in choices(goods, defects):
        if choice.rate > 0:
            assert calibrate(goods, choice.rate).value == choice.value
        assert choice.false_rejects[0] <= choice.rate <= choice.false_rejects[1] or len(goods) == 1
        assert choice.found == sum(score > choice.value for score in defects)
        assert 0 <= choice.recall[0] <= choice.found / len(defects) <= choice.recall[1] <= 1


def test_a_rate_of_nearly_all_is_the_lowest_threshold() -> None:
    assert calibrate([1.0, 2.0, 3.0], 0.9999999999999999).value == 1.0


@given(SCORES, SCORES)
def test_a_higher_threshold_rejects_and_finds_less(goods: list[float], defects: list[float]) -> None:
    offered = choices(goods, defects)
    for low, high in itertools.pairwise(offered):
        assert low.value <= high.value
        assert low.rate > high.rate
        assert low.found >= high.found


def test_the_interval_of_the_rate_holds_as_often_as_it_says() -> None:
    """Parts from a uniform distribution: the true rate of a threshold t is 1 - t."""
    rng, inside = np.random.default_rng(4), 0
    for _ in range(400):
        choice = choices(rng.random(60).tolist(), [])[55]
        inside += choice.false_rejects[0] <= 1 - choice.value <= choice.false_rejects[1]
    assert 0.92 <= inside / 400 <= 0.98


@pytest.mark.parametrize(
    ("detected", "of", "interval"),
    [(0, 0, (0, 1)), (10, 10, (0.6915, 1)), (0, 10, (0, 0.3085)), (5, 10, (0.1871, 0.8129))],
)
def test_recall_is_bounded_as_clopper_and_pearson_tabulate_it(
    detected: int, of: int, interval: tuple[float, float]
) -> None:
    assert recall(detected, of) == pytest.approx(interval, abs=1e-4)
