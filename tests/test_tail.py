"""The tail of calibration scores: what it promises on lines drawn anew, and what odd parts do to it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memory.calibration import CalibrationSet
from memory.features import Features
from policies.tail import LEAST_SCORES, TAIL_SHARE, Tail, count_usual, tail_of
from policies.threshold import Threshold, calibrate, threshold_of_scores

RATE = 0.02
LINES = 60
SCORES = {
    "gamma": stats.gamma(12),
    "lognormal": stats.lognorm(0.2),
    "gumbel": stats.gumbel_r(8, 1),
    "heavy": stats.t(5, loc=15),
    "bounded": stats.uniform(1, 1),
}


def lines(kind: str, count: int, odd: int = 0) -> Iterator[list[float]]:
    """The scores of so many parts on line after line, the odd ones far beyond the others."""
    rng, scores = np.random.default_rng(count + odd), SCORES[kind]
    middle, high = scores.ppf([0.5, 1 - RATE])
    for _ in range(LINES):
        drawn = scores.rvs(count - odd, random_state=rng)
        yield [*drawn.tolist(), *(middle + (high - middle) * rng.uniform(3, 5, odd)).tolist()]


@pytest.mark.parametrize("count", [30, 60, 200])
@pytest.mark.parametrize("kind", SCORES)
def test_about_as_many_are_flagged_as_asked_for_and_seldom_more_than_promised(kind: str, count: int) -> None:
    thresholds = [calibrate(scores, RATE) for scores in lines(kind, count)]
    realised = np.array([SCORES[kind].sf(threshold.value) for threshold in thresholds])
    assert realised.mean() < max(RATE, 1 / (count + 1)) + 0.01
    assert np.mean([rate <= one.confident_rate for rate, one in zip(realised, thresholds, strict=True)]) >= 0.9
    assert np.mean([threshold.by_tail for threshold in thresholds]) > (0 if kind == "bounded" else 0.5)


@pytest.mark.parametrize("kind", ["gamma", "lognormal", "gumbel"])
def test_a_few_odd_parts_do_not_decide(kind: str) -> None:
    """As the largest of sixty scores they would: no defect below the odd parts were found."""
    middle, high = SCORES[kind].ppf([0.5, 1 - RATE])
    above = {
        odd: np.median([(calibrate(scores, RATE).value - middle) / (high - middle) for scores in lines(kind, 60, odd)])
        for odd in (0, 2)
    }
    assert above[0] == pytest.approx(1.0, abs=0.1)
    assert above[2] < 1.5


def test_odd_parts_are_named_and_told() -> None:
    scores = [*np.random.default_rng(3).gamma(12, size=40).tolist(), 90.0, 60.0]
    names = tuple(f"{i}.png" for i in range(len(scores)))
    patches = Features(np.zeros((1, 1), dtype=np.float32), (1, 1))
    threshold = threshold_of_scores(CalibrationSet(names, (patches,) * len(names)), scores, (), RATE)
    assert threshold.odd_parts == ("40.png", "41.png")
    assert threshold.value < 30
    assert "about 2.0% are expected" in threshold.promise
    assert "40.png, 41.png are odd and left out of it: see whether they are good parts" in threshold.promise
    assert not threshold.single_part_dominates
    assert Threshold.of(threshold.to_json()) == threshold


def test_scores_that_no_tail_fits_are_calibrated_as_ever() -> None:
    rng = np.random.default_rng(0)
    two_kinds = [*rng.normal(10, 0.01, 57).tolist(), *rng.normal(10.06, 0.0001, 9).tolist()]
    for scores in (two_kinds, [1.0] * 60, [float(i) for i in range(LEAST_SCORES - 1)]):
        threshold = calibrate(scores, RATE)
        assert not threshold.by_tail
        assert threshold.value == max(scores)


@given(st.lists(st.floats(0.1, 100), min_size=LEAST_SCORES, max_size=80), st.floats(0.001, 1000))
def test_the_unit_of_scores_does_not_matter(scores: list[float], unit: float) -> None:
    plain, scaled = calibrate(scores, RATE), calibrate([unit * score for score in scores], RATE)
    if plain.by_tail and scaled.by_tail:
        assert scaled.value == pytest.approx(unit * plain.value, rel=1e-6)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=80), st.lists(st.floats(0.001, 0.999), min_size=2, max_size=6))
def test_a_smaller_rate_has_no_smaller_threshold(scores: list[float], rates: list[float]) -> None:
    values = [calibrate(scores, rate).value for rate in sorted(rates)]
    assert all(value >= after - 1e-9 * max(scores) for value, after in pairwise(values))


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
@pytest.mark.parametrize("rate", [0.001, 0.02, 0.3])
def test_the_quantile_is_that_of_the_distribution(shape: float, rate: float) -> None:
    tail = Tail(start=5.0, shape=shape, scale=2.0, share=TAIL_SHARE, usual=60)
    assert tail.quantile(rate) == pytest.approx(5 + 2 * stats.genpareto(shape).isf(rate / TAIL_SHARE))


def test_the_same_scores_have_the_same_tail_in_whatever_order_they_were_asked() -> None:
    scores = tuple(sorted(np.random.default_rng(1).gamma(12, size=50).tolist()))
    first = tail_of(scores)
    tail_of.cache_clear()
    assert tail_of(scores) == first
    assert first is not None
    assert first.usual == count_usual(scores) == 50


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.01, 0.05])
@pytest.mark.parametrize("goods", [20, 60])
@pytest.mark.parametrize("kind", SCORES)
def test_the_most_that_is_promised_with_confidence_holds_on_as_many_lines(kind: str, goods: int, rate: float) -> None:
    """A thousand lines: the true rate of the threshold, whether the tail's model or a score has set it."""
    held = 0
    for line in range(1000):
        threshold = calibrate(SCORES[kind].rvs(goods, random_state=line).tolist(), rate)
        held += SCORES[kind].sf(threshold.value) <= threshold.confident_rate
    assert held >= 950
