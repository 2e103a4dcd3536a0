"""Remedies: a missed defect is found again once the patches that hid it have left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proposals import LIMITS, around, good_part, model, scratch, showing, with_threshold
from versions import bank_of, features, good_of

from drift.monitor import CALM
from memory.calibration import CalibrationSet
from memory.defects import ConfirmedDefects, Defect
from memory.patch_bank.good_patches import gather
from memory.patch_bank.learner import PatchBankLearner
from memory.version import Model
from policies.admission import LabelledParts, Proposal, propose
from policies.fitting import Fitted
from policies.gate import GateReport, check
from policies.remedies import remedy
from policies.threshold import Threshold, calibrate, is_detected, leave_one_out_scores


def hidden(rng: np.random.Generator, common: int) -> tuple[Model, Defect]:
    """A base that misses the defect at 20, since one learned part shows `common` patches just there."""
    base, defect = model(rng), scratch(rng, "missed")
    bank = bank_of(gather([*((f"taught{i}", around(rng, 0, 100)) for i in range(3)), ("sly", around(rng, 20, common))]))
    odd = np.array([[5, 0, 0]], dtype=np.float32)
    calibration = CalibrationSet(tuple(f"h{i}" for i in range(9)), (showing(around(rng, 0, 15), odd),) * 9)
    threshold = calibrate(leave_one_out_scores(bank, calibration), 0.2)
    assert threshold.value == 4.0
    snapshot = replace(base.snapshot, detector=bank, calibration_set=calibration)
    return with_threshold(Model(base.version, snapshot), threshold), defect


def test_a_missed_defect_is_found_once_what_hid_it_has_left(rng: np.random.Generator) -> None:
    base, defect = hidden(rng, common=1)
    outcome = propose(base, LabelledParts(defects=(defect,)), CALM, replace(LIMITS, rate=0.1), 0)
    assert isinstance(outcome, Proposal)
    (done,) = outcome.remedies
    assert (done.defect, done.removed_patches) == ("missed", (("sly", 0),))
    assert outcome.removed == ("sly",)
    assert is_detected(outcome.snapshot.detector, defect, outcome.threshold)
    passed = check(outcome)
    assert isinstance(passed, GateReport)
    assert passed.missed == ()


def test_a_defect_that_a_new_threshold_overtakes_is_remedied_in_the_same_lesson(rng: np.random.Generator) -> None:
    """Good parts need not be refused for it where a few patches near the defect can leave."""
    base, defect = hidden(rng, common=1)
    near = gather([("sly", defect.patches + np.float32([4.2, 0, 0]))])
    bank = bank_of(good_of(base.snapshot).subset(np.arange(300)).joined(near))
    before = Model(base.version, replace(base.snapshot, detector=bank, confirmed_defects=ConfirmedDefects((defect,))))
    assert is_detected(bank, defect, Threshold.of(base.version.threshold))
    odd = good_part("odd", showing(around(rng, 0, 15), np.array([[5.3, 0, 0]])))
    outcome = propose(before, LabelledParts(audited=(odd,)), CALM, replace(LIMITS, rate=0.05), 0)
    assert isinstance(outcome, Proposal)
    assert outcome.threshold.value == pytest.approx(float(np.float16(4.3)))
    assert [(done.defect, done.removed_patches) for done in outcome.remedies] == [("missed", (("sly", 0),))]
    assert isinstance(check(outcome), GateReport)


def test_a_defect_that_looks_like_much_of_the_bank_has_no_remedy(rng: np.random.Generator) -> None:
    """Nothing is taken out in vain; the defect is kept, and the gate's record says that it is missed."""
    base, defect = hidden(rng, common=40)
    outcome = propose(base, LabelledParts(defects=(defect,)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.remedies == ()
    assert np.array_equal(good_of(outcome.snapshot).vectors, good_of(base.snapshot).vectors)
    assert outcome.snapshot.confirmed_defects.samples == ("missed",)


@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.1, 0.2, 0.4]))
def test_a_remedy_always_does_what_it_says(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    bank = bank_of(gather([(f"s{i}", rng.normal(size=(60, 3)).astype(np.float32)) for i in range(5)]))
    calibration = CalibrationSet(tuple("abcd"), tuple(features(rng.normal(size=(8, 3))) for _ in "abcd"))
    defect = Defect("d", features(rng.normal(scale=2, size=(4, 3))), np.array([[True, True, False, False]]))
    scores = leave_one_out_scores(bank, calibration)
    threshold = calibrate(scores, rate)
    other = Defect("o", features(rng.normal(scale=3, size=(4, 3))), np.array([[True, False, False, False]]))
    finished = PatchBankLearner().finish(bank, calibration, (), threshold.at)
    chosen = remedy(Fitted(finished, calibration, tuple(scores), threshold), defect, (other,))
    if chosen is not None:
        repair, after = chosen
        lifted = after.threshold
        assert after.scores == tuple(leave_one_out_scores(repair.detector, calibration))
        assert repair.detector.size + len(repair.removed_patches) == bank.size
        assert len(repair.removed_patches) <= 0.02 * bank.size
        assert lifted == calibrate(leave_one_out_scores(repair.detector, calibration), rate)
        assert is_detected(repair.detector, defect, lifted)
        assert is_detected(repair.detector, other, lifted) or not is_detected(bank, other, threshold)
