"""The defect memory raises what is like a confirmed defect, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from versions import bank_of, features

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import Score
from memory.features import Features, View
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.defect_memory import MOST_AMPLIFIED
from memory.patch_bank.good_patches import gather
from policies.fitting import calibrated
from policies.threshold import Threshold


def part(*centres: float, spread: float = 1.0, seed: int = 0) -> Features:
    """Thirty patches around 0 and one at each of the given places on the first axis."""
    rng = np.random.default_rng(seed)
    odd = np.array([[c, 0, 0] for c in centres], dtype=np.float32).reshape(-1, 3)
    return features(np.concatenate([rng.normal(0, spread, (30, 3)).astype(np.float32), odd]))


def defect(where: float) -> Defect:
    seen = part(where, seed=99)
    region = np.zeros(seen.grid, dtype=bool)
    region[0, -1] = True
    return Defect(f"at-{where}", seen, region)


def taught(*defects: Defect) -> tuple[PatchBank, Threshold, CalibrationSet]:
    goods = [part(seed=i) for i in range(20)]
    calibration = CalibrationSet(tuple(f"g{i}" for i in range(20)), tuple(goods))
    bank = gather([(name, good.patches) for name, good in zip(calibration.samples, goods, strict=True)])
    fitted = calibrated(bank_of(bank), calibration, defects, 0.05)
    assert isinstance(fitted.detector, PatchBank)
    return fitted.detector, fitted.threshold, calibration


def score(bank: PatchBank, seen: Features) -> Score:
    return bank.score(View(seen))


def test_what_is_like_a_confirmed_defect_is_raised_over_the_threshold() -> None:
    """Its twin of the next week is a little weaker, and just not found by good patches alone."""
    bank, threshold, _ = taught(defect(9.0))
    level = threshold.value + float(np.abs(bank.good.vectors[:, 0]).max())
    twin = part(0.95 * level, seed=5)
    bank = replace(bank, defect_memory=replace(bank.defect_memory, vectors=np.array([[level, 0, 0]], dtype=np.float32)))
    assert bank.normalised_distance(twin).value < threshold.value < score(bank, twin).value
    times = score(bank, twin).value / bank.normalised_distance(twin).value
    assert score(bank, twin).evidence["words"].endswith(f"; raised {times:.2f} times: it is like a confirmed defect")


def test_a_defect_of_another_kind_scores_as_without_memory() -> None:
    bank, _, _ = taught(defect(9.0))
    other = part(-9.0, seed=6)
    assert score(bank, other).value == bank.normalised_distance(other).value
    assert "raised" not in score(bank, other).evidence["words"]
    assert np.array_equal(score(bank, other).map, bank.normalised_distance(other).map)


def test_only_a_defect_that_stands_out_is_remembered() -> None:
    bank, _, _ = taught(defect(0.0))
    assert len(bank.defect_memory.vectors) == 0


@settings(max_examples=25, deadline=None)
@given(places=st.lists(st.floats(-12, 12), max_size=4))
def test_no_defect_changes_the_threshold_or_lifts_a_calibration_part_over_it(places: list[float]) -> None:
    without, plain, _ = taught()
    bank, threshold, calibration = taught(*(defect(p) for p in dict.fromkeys(places)))
    assert threshold == plain
    assert np.array_equal(bank.good.vectors, without.good.vectors)
    for good in calibration.features:
        assert score(bank, good).value <= max(threshold.value, bank.normalised_distance(good).value)


@settings(max_examples=25, deadline=None)
@given(where=st.floats(-20, 20), seed=st.integers(0, 50))
def test_the_memory_never_lowers_a_score_and_raises_it_at_most_tenfold(where: float, seed: int) -> None:
    bank, _, _ = taught(defect(9.0), defect(-12.0))
    seen = part(where, seed=seed)
    plain, raised = bank.normalised_distance(seen).map, score(bank, seen).map
    assert (raised >= plain).all()
    assert (raised <= MOST_AMPLIFIED * plain).all()


def test_without_confirmed_defects_the_score_is_the_distance_to_good_patches(rng: np.random.Generator) -> None:
    bank, _, _ = taught()
    assert len(bank.defect_memory.vectors) == 0
    seen = part(rng.normal(0, 5))
    assert score(bank, seen).value == bank.normalised_distance(seen).value
