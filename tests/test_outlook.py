"""What each threshold would mean: rates and recall with their intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.ask import audited
from policies.outlook import band, choices, clopper_pearson, in_a_shift
from policies.threshold import calibrate

SCORES = st.lists(st.floats(0.01, 10), min_size=1, max_size=40)


@given(SCORES, SCORES, SCORES)
def test_a_choice_is_what_calibration_gives_for_its_rate(
    goods: list[float], defects: list[float], drawn: list[float]
) -> None:
    for choice in choices(goods, defects, drawn, 0, 0.07):
        if choice.rate > 0:
            assert calibrate(goods, choice.rate).value == choice.value
        assert choice.false_rejects[0] <= choice.rate <= choice.false_rejects[1] or len(goods) == 1
        assert choice.found == sum(score > choice.value for score in defects)
        assert choice.drawn_found == sum(score > choice.value for score in drawn)
        assert 0 <= choice.recall[0] <= choice.drawn_found / len(drawn) <= choice.recall[1] <= 1


@given(SCORES, st.floats(0.001, 0.9))
def test_the_rate_in_force_is_offered_with_its_own_threshold(goods: list[float], rate: float) -> None:
    (own,) = [choice for choice in choices(goods, [], [], 0, rate) if choice.rate == rate]
    assert own.value == calibrate(goods, rate).value


def test_a_rate_of_nearly_all_is_the_lowest_threshold() -> None:
    assert calibrate([1.0, 2.0, 3.0], 0.9999999999999999).value == 1.0


@given(SCORES, SCORES)
def test_a_higher_threshold_rejects_and_finds_less(goods: list[float], defects: list[float]) -> None:
    offered = choices(goods, defects, defects, 0, 0.07)
    for low, high in itertools.pairwise(offered):
        assert low.value <= high.value
        assert low.rate > high.rate
        assert low.found >= high.found


@pytest.mark.parametrize("goods", [9, 20, 60, 200])
def test_the_intervals_of_all_thresholds_hold_together_as_often_as_they_say(goods: int) -> None:
    """A thousand lines of uniform scores, whose true rate at a threshold t is 1 - t. Between two scores it falls, so
    that an interval that holds at both ends holds at every threshold between them."""
    rng, together = np.random.default_rng(4), 0
    bands = np.array([band(above, goods) for above in range(goods, -1, -1)])  # (n + 1, 2), by how many lie below
    for _ in range(1000):
        ends = np.array([0.0, *np.sort(rng.random(goods)), 1.0])
        together += bool(np.all((bands[:, 0] <= 1 - ends[1:]) & (1 - ends[:-1] <= bands[:, 1])))
    assert together >= 950


def test_the_interval_of_a_share_holds_as_often_as_it_says() -> None:
    """A thousand checks of known defects, or appraisers, for each of some true shares (Clopper and Pearson)."""
    rng = np.random.default_rng(7)
    for share, parts in itertools.product((0.02, 0.3, 0.5, 0.9, 0.99), (4, 12, 60)):
        told = [clopper_pearson(int(of), int(of), parts) for of in rng.binomial(parts, share, 1000)]
        assert sum(low <= share <= high for low, high in told) >= 950


def test_recall_is_told_truly_whatever_people_are_asked_about() -> None:
    """A thousand lines that ask about forty flagged parts and a twentieth drawn at random, of which half of
    the passed ones are answered; good parts score by a normal
    distribution about 1, defects about 2, so a third of them is passed."""
    rng, truths, held, by_all = np.random.default_rng(5), {}, 0, 0
    goods = np.sort(rng.normal(1, 0.4, 9)).tolist()
    for choice in choices(goods, [], [], 0, 0.1):
        truths[choice.value] = 0.5 * math.erfc((choice.value - 2) / math.sqrt(2))
    for line in range(1000):
        scores = rng.normal(2, 1, 60)  # of its defects
        drawn = np.array([audited(f"{line}-{number}", 0.05) for number in range(len(scores))])
        flagged = np.flatnonzero((scores > goods[-1]) & ~drawn)[:40]
        confirmed = [*scores[drawn].tolist(), *scores[flagged].tolist()]
        answered = drawn & ((scores > goods[-1]) | (rng.random(len(scores)) < 0.5))  # flagged ones come first
        unanswered = int((drawn & ~answered).sum())
        for seen, told, left in (("drawn", scores[answered].tolist(), unanswered), ("all", confirmed, 0)):
            offered = choices(goods, confirmed, told, left, 0.1)
            right = all(one.recall[0] <= truths[one.value] <= one.recall[1] for one in offered)
            held, by_all = (held + right, by_all) if seen == "drawn" else (held, by_all + right)
    assert held >= 950
    assert by_all < 300, "what people are asked about because of its score says too much"


@pytest.mark.parametrize(("goods", "parts"), [(20, 5), (60, 500), (200, 3_000)])
def test_a_shift_s_false_rejects_are_told_truly(goods: int, parts: int) -> None:
    """A thousand lines: some good parts calibrate, and the next shift's are drawn anew."""
    rng, held = np.random.default_rng(6), 0
    for _ in range(1000):
        scores = np.sort(rng.random(goods))
        above = int(rng.integers(0, goods))
        value = scores[-1 - above]
        low, high = in_a_shift(parts, band(above, goods))
        held += low <= rng.binomial(parts, 1 - value) <= high
    assert held >= 950


def test_a_shift_without_parts_rejects_none() -> None:
    assert in_a_shift(0, (0.1, 0.5)) == (0, 0)
    assert in_a_shift(10, (0.0, 1.0)) == (0, 10)
    assert in_a_shift(10, (0.0, 0.0)) == (0, 0)


def test_a_threshold_beyond_all_scores_may_reject_all_or_nothing() -> None:
    assert band(3, 3)[1] == 1
    assert band(0, 3)[0] == 0


@given(st.sampled_from([1, 2, 5, 20, 60]), st.data())
def test_more_parts_above_a_threshold_mean_a_higher_rate(count: int, data: st.DataObject) -> None:
    above = data.draw(st.integers(0, count - 1))
    (low, high), (next_low, next_high) = band(above, count), band(above + 1, count)
    assert low <= above / count <= high
    assert low < next_low
    assert high < next_high or next_high == 1


def test_nothing_is_known_of_recall_without_a_defect() -> None:
    assert band(0, 0) == (0, 1)
