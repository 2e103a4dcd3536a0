"""Split conformal calibration keeps its promise for every sample, by exchangeability, not on average."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from versions import bank_of, features

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.features import View
from memory.patch_bank.coreset import select
from memory.patch_bank.good_patches import gather
from policies.fitting import calibrated
from policies.threshold import Threshold, calibrate

Scores = st.lists(st.floats(0, 100), min_size=1, max_size=60)
Rates = st.floats(0.001, 0.999)


@given(scores=st.lists(st.floats(0, 100), min_size=2, max_size=40, unique=True), rate=Rates)
def test_of_n_plus_one_exchangeable_parts_no_more_than_promised_are_flagged(scores: list[float], rate: float) -> None:
    """Each of the n + 1 plays the new part once: the share that is flagged is the false-reject rate. A model of the
    tail promises more to some of them than to others, and to none of those flagged less than that share."""
    flagged, promised = 0, 0.0
    for i, new in enumerate(scores):
        threshold = calibrate(scores[:i] + scores[i + 1 :], rate)
        flagged += new > threshold.value
        promised = max(promised, threshold.guaranteed_rate)
    assert flagged / len(scores) <= promised + 1e-12


@given(scores=Scores, rate=Rates)
def test_it_says_what_the_sample_supports(scores: list[float], rate: float) -> None:
    threshold = calibrate(scores, rate)
    smallest = 1 / (len(scores) + 1)
    assert threshold.guaranteed_rate >= smallest - 1e-12
    assert threshold.supports_rate == (smallest <= rate)
    above = sum(score > threshold.value for score in scores)
    if threshold.by_tail:
        assert threshold.guaranteed_rate == (above + 1) / (len(scores) + 1)
    elif rate >= smallest + 1e-9:
        assert threshold.guaranteed_rate <= rate + 1e-9
    else:
        assert threshold.value == max(scores)


@given(scores=Scores, score=st.floats(0, 100))
def test_a_p_value_falls_with_the_score_and_is_never_zero(scores: list[float], score: float) -> None:
    threshold = calibrate(scores, 0.5)
    assert 0 < threshold.p_value(score + 1) <= threshold.p_value(score) <= 1


def test_a_tenth_of_ten_is_one() -> None:
    assert calibrate([float(i) for i in range(1, 10)], 0.1).value == 9.0
    assert calibrate([float(i) for i in range(1, 20)], 0.1).value == 18.0


@pytest.mark.parametrize(("scores", "rate"), [([], 0.1), ([1.0], 0.0), ([1.0], 1.0)])
def test_nonsense_is_refused(scores: list[float], rate: float) -> None:
    with pytest.raises(ValueError, match="expected held-out scores"):
        calibrate(scores, rate)


@given(scores=Scores, rate=Rates)
def test_the_manifest_gives_it_back(scores: list[float], rate: float) -> None:
    threshold = calibrate(scores, rate)
    assert Threshold.of(threshold.to_json()) == threshold


def test_parts_that_teach_the_bank_may_calibrate_it_too() -> None:
    """Each is scored without its own patches: no more good parts are flagged than with parts held out for good.

    300 lines of 19 parts; three standard errors of a rate of 1/10 are 0.052.
    """
    rng, flagged, names = np.random.default_rng(7), 0, tuple(f"p{i}" for i in range(19))
    for _ in range(300):
        *taught, new = [features(rng.standard_normal((6, 3)) * rng.uniform(0.5, 2)) for _ in range(20)]
        bank = gather([(n, f.patches) for n, f in zip(names, taught, strict=True)])
        fitted = calibrated(bank_of(bank), CalibrationSet(names, tuple(taught)), (), 0.1)
        flagged += fitted.detector.score(View(new)).value > fitted.threshold.value
    assert flagged / 300 <= 0.1 + 0.052


@pytest.mark.slow
def test_parts_that_gave_landmarks_are_no_calmer_than_new_ones() -> None:
    """Neither more nor fewer good parts are flagged than asked for: three standard errors of 1/10 in 150 are 0.073.

    Each part is of material of its own, as on real lines: by its own landmarks it would look calmer than it is.
    """
    rng, flagged, names = np.random.default_rng(7), 0, tuple(f"p{i}" for i in range(19))
    for _ in range(150):
        own = rng.standard_normal((20, 1, 8)) * 2
        *taught, new = [features(patches) for patches in own + rng.standard_normal((20, 40, 8)) * 0.5]
        bank = gather([(n, f.patches) for n, f in zip(names, taught, strict=True)])
        marks = bank.vectors[select(bank.vectors[:0], bank.vectors, 40, 0)]
        marked = bank_of(bank.with_landmarks(marks, taught))
        fitted = calibrated(marked, CalibrationSet(names, tuple(taught)), (), 0.1)
        flagged += fitted.detector.score(View(new)).value > fitted.threshold.value
    assert abs(flagged / 150 - 0.1) <= 0.073


def test_a_part_that_alone_sets_the_threshold_is_named(rng: np.random.Generator) -> None:
    names = tuple(f"p{i}" for i in range(12))
    parts = [features(rng.standard_normal((6, 3)).round(2)) for _ in names]
    parts[5] = features(np.full((6, 3), 9.0))
    bank = bank_of(gather([(n, f.patches) for n, f in zip(names, parts, strict=True)]))
    threshold = calibrated(bank, CalibrationSet(names, tuple(parts)), (), 0.05).threshold
    assert (threshold.pivot_part, threshold.single_part_dominates) == ("p5", True)
    rest = CalibrationSet(names[:5] + names[6:], tuple(parts[:5] + parts[6:]))
    assert calibrated(bank, rest, (), 0.05).threshold.value == threshold.value_without_pivot < threshold.value
    assert Threshold.of(threshold.to_json()) == threshold
    promise = threshold.promise
    assert "p5 alone sets the threshold" in promise
    assert "no less than 7.7%" in promise
    old = {k: v for k, v in threshold.to_json().items() if k not in {"set_by", "without"}}
    assert not Threshold.of(old).single_part_dominates, "a manifest that does not say names nobody"


def test_a_regime_with_parts_enough_has_a_threshold_of_its_own(rng: np.random.Generator) -> None:
    """What is normal by night may score more than by day; pooled, the day's parts would pass too much."""
    bank = bank_of(gather([("taught", rng.standard_normal((60, 3)))]))
    day = [features(rng.standard_normal((6, 3))) for _ in range(20)]
    night = [features(rng.standard_normal((6, 3)) * 3) for _ in range(20)]
    names = tuple(f"p{i}" for i in range(40))
    calibration = CalibrationSet(names, (*day, *night), (0,) * 20 + (7,) * 20)
    threshold = calibrated(bank, calibration, (), 0.1).threshold
    by_day = calibrated(bank, CalibrationSet(names[:20], tuple(day)), (), 0.1).threshold
    by_night = calibrated(bank, CalibrationSet(names[20:], tuple(night)), (), 0.1).threshold
    assert (
        threshold.for_regime(0).value
        == by_day.value
        < threshold.value
        < by_night.value
        == threshold.for_regime(7).value
    )
    assert threshold.for_regime(99) is threshold, "what is not known has that of all parts"
    assert Threshold.of(json.loads(json.dumps(threshold.to_json()))) == threshold
    few = CalibrationSet(names[:25], (*day, *night[:5]), (0,) * 20 + (7,) * 5)
    assert set(calibrated(bank, few, (), 0.1).threshold.per_regime) == {0}, "five parts promise no tenth"
    assert not by_day.per_regime, "one regime needs no second threshold"


def test_no_threshold_of_a_regime_hides_a_defect_that_the_others_find(rng: np.random.Generator) -> None:
    bank = bank_of(gather([("taught", rng.standard_normal((60, 3)))]))
    day = [features(rng.standard_normal((6, 3))) for _ in range(20)]
    night = [features(rng.standard_normal((6, 3)) * 3) for _ in range(20)]
    calibration = CalibrationSet(tuple(f"p{i}" for i in range(40)), (*day, *night), (0,) * 20 + (7,) * 20)
    threshold = calibrated(bank, calibration, (), 0.1).threshold
    between = (threshold.value + threshold.for_regime(7).value) / 2
    scratches = (features(np.array([[0.0, 0.0, x]] * 6)) for x in np.arange(0, 20, 0.05))
    seen = next(scratch for scratch in scratches if bank.score(View(scratch)).value > between)
    defect = Defect("scratch", seen, np.ones((1, 6), dtype=bool))
    score = bank.score(View(seen)).value
    assert threshold.value < score < threshold.for_regime(7).value, "the test's own premise"
    careful = calibrated(bank, calibration, (defect,), 0.1).threshold
    assert set(careful.per_regime) == {0}


@given(n=st.integers(1, 80), rate=st.floats(0.01, 0.9))
def test_the_confident_rate_is_no_smaller_than_the_mean_one(n: int, rate: float) -> None:
    threshold = calibrate([float(i) for i in range(n)], rate)
    assert threshold.guaranteed_rate < threshold.confident_rate <= 1


def test_the_confident_rate_of_the_largest_of_fifty_nine_is_a_twentieth() -> None:
    """The textbook number: 59 parts for 95 % confidence in 5 % (Wilks 1941)."""
    confident = calibrate([float(i) for i in range(59)], 0.01).confident_rate
    assert abs(confident - 0.05) < 0.001
