"""Admission: which confirmed parts are learned, which are refused, and which wait."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proposals import LAST_PATCH, LIMITS, Patches, around, good_part, model, scratch, showing, twice, with_threshold
from versions import features, good_of

from drift.monitor import CALM, Trust
from memory.defects import Defect
from memory.detector import Capacity, GoodPart
from memory.version import Model
from policies.admission import Hold, LabelledParts, Proposal, propose
from policies.gate import GateReport, check
from policies.threshold import Threshold, calibrate, is_detected

NEW_MATERIAL = 50.0


def test_a_novel_good_part_is_admitted_and_then_known(rng: np.random.Generator) -> None:
    base, (novel, twin) = model(rng), twice("new", showing(around(rng, 0, 14), around(rng, 8, 2)))
    outcome = propose(base, LabelledParts((novel, twin)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert "new" in outcome.added
    assert outcome.waiting == ()
    assert outcome.snapshot.detector.score(novel.view).value < base.snapshot.detector.score(novel.view).value / 2
    assert isinstance(check(outcome), GateReport)


def test_a_part_that_looks_like_a_confirmed_defect_is_refused(rng: np.random.Generator) -> None:
    base = model(rng, scratch(rng, "d1"))
    poison = good_part("poison", scratch(rng, "x").features)
    outcome = propose(base, LabelledParts((poison,)), CALM, LIMITS, 0)
    assert outcome == Hold("every confirmed part lies nearer to a confirmed defect than to the bank", ("poison",))
    novel = twice("new", showing(around(rng, 0, 14), around(rng, 8, 2)))
    both = propose(base, LabelledParts((poison, *novel)), CALM, LIMITS, 0)
    assert isinstance(both, Proposal)
    assert both.refused == ("poison",)
    assert "new" in both.added


def test_a_new_defect_alone_is_remembered(rng: np.random.Generator) -> None:
    outcome = propose(model(rng), LabelledParts(defects=(scratch(rng, "d1"),)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.snapshot.confirmed_defects.samples == ("d1",)
    assert np.array_equal(good_of(outcome.snapshot).vectors, good_of(outcome.base.snapshot).vectors)


def test_audited_goods_calibrate_and_are_learned(rng: np.random.Generator) -> None:
    audit, twin = twice("audit", showing(around(rng, 3)))
    outcome = propose(model(rng), LabelledParts(audited=(twin, audit)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.snapshot.calibration_set.samples[-1] == "audit"
    assert {"audit", "audit-2"} & set(outcome.snapshot.detector.samples)
    now_known = outcome.snapshot.detector.score(audit.view).value
    assert now_known < max(outcome.threshold.scores), "it calibrates by what the others taught, not by itself"
    assert len(outcome.threshold.scores) == 11


def test_an_audited_part_that_looks_like_a_confirmed_defect_does_not_calibrate(rng: np.random.Generator) -> None:
    base = model(rng, scratch(rng, "d1"))
    careless, fine = good_part("careless", scratch(rng, "x").features), good_part("fine", showing(around(rng, 3)))
    outcome = propose(base, LabelledParts(audited=(careless, fine)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.refused == ("careless",)
    assert outcome.snapshot.calibration_set.samples[-1] == "fine"


def test_nothing_new_and_nothing_trusted_are_held(rng: np.random.Generator) -> None:
    base = model(rng)
    known = good_part("k", features(good_of(base.snapshot).vectors[:4].copy()))
    assert isinstance(propose(base, LabelledParts((known,)), CALM, LIMITS, 0), Hold)
    assert isinstance(propose(base, LabelledParts(), CALM, LIMITS, 0), Hold)
    lost = replace(CALM, trust=Trust.UNTRUSTED)
    hold = propose(base, LabelledParts((good_part("n", showing(around(rng, 6))),)), lost, LIMITS, 0)
    assert isinstance(hold, Hold)
    assert "paused" in hold.reason


@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=5), bank=st.integers(30, 60), seed=st.integers(0, 99))
def test_the_budget_is_kept_and_the_result_deterministic(counts: list[int], bank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, limits = model(rng), replace(LIMITS, capacity=Capacity(bank, 10))
    goods = tuple(good_part(f"g{i}", features(rng.integers(-20, 20, (n, 3)))) for i, n in enumerate(counts))
    one, two = (propose(base, LabelledParts(goods), CALM, limits, seed) for _ in range(2))
    if isinstance(one, Proposal) and isinstance(two, Proposal):
        assert one.snapshot.detector.size <= max(bank, base.snapshot.detector.size)
        assert np.array_equal(good_of(one.snapshot).vectors, good_of(two.snapshot).vectors)
        assert one.threshold == two.threshold
        assert set(one.added) <= set(one.snapshot.detector.samples)
    else:
        assert one == two


def test_what_one_part_alone_shows_waits_for_a_second(rng: np.random.Generator) -> None:
    base = model(rng)
    one, two = twice("new", showing(good_of(base.snapshot).vectors[:14], around(rng, 8, 2)))
    hold = propose(base, LabelledParts((one,)), CALM, LIMITS, 0)
    assert isinstance(hold, Hold)
    assert "it takes two" in hold.reason
    assert hold.blamed == (), "nobody is set aside for it"
    twin = replace(two, part="new")
    assert propose(base, LabelledParts((one, twin)), CALM, LIMITS, 0) == replace(
        hold, reason=hold.reason.replace("1", "2")
    )
    other = good_part("other", showing(good_of(base.snapshot).vectors[:14], around(rng, -8, 2)))
    partly = propose(base, LabelledParts((one, two, other)), CALM, LIMITS, 0)
    assert isinstance(partly, Proposal)
    assert partly.waiting == ("other",)
    assert partly.snapshot.detector.score(other.view).value > Threshold.of(base.version.threshold).value


def test_what_would_hide_the_most_anomalous_patch_of_a_known_defect_is_left_out() -> None:
    """It lies nearer to what is normal than to the defect, so only its nearness to the threshold tells."""
    rng = np.random.default_rng(0)  # under some seeds the whole part is refused, as nearer to the defect
    base = model(rng, scratch(rng, "d1", 9))
    bound = 2.0
    base = with_threshold(base, calibrate([bound] * 9, 0.2))
    defect = base.snapshot.confirmed_defects.defects[0].patches[-1]
    between = (defect * (1 - 0.9 * bound / np.linalg.norm(defect))).astype(np.float32)
    one, two = twice("new", showing(around(rng, -8, 2), good_of(base.snapshot).vectors[:13], between[None]))
    outcome = propose(base, LabelledParts((one, two)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert "new" in outcome.added
    assert np.linalg.norm(good_of(outcome.snapshot).vectors - defect, axis=1).min() > bound


def test_of_a_part_that_waited_only_what_is_still_new_is_learned(rng: np.random.Generator) -> None:
    """The rest had its lesson, and may have left the bank since for a defect that it hid."""
    base = with_threshold(model(rng), calibrate([2.0] * 9, 0.2))
    hardly_new = good_of(base.snapshot).vectors[:14] + np.float32(0.4)
    one, two = twice("new", showing(hardly_new, around(rng, 8, 2)))

    def learned(before: Model) -> set[int]:
        outcome = propose(before, LabelledParts((one, two)), CALM, replace(LIMITS, capacity=Capacity(200, 100)), 0)
        assert isinstance(outcome, Proposal)
        bank = good_of(outcome.snapshot)
        return {int(p) for p in bank.patch_index[bank.sample_index == bank.samples.index("new")]}

    assert len(learned(base)) > 2
    assert learned(Model(replace(base.version, waiting=("new",)), base.snapshot)) <= {14, 15}


def test_what_is_normal_around_a_missed_defect_may_be_learned(rng: np.random.Generator) -> None:
    """Nobody said where the missed defect is, so its region holds normal patches: they must not refuse good parts."""
    where = np.ones((1, 16), dtype=bool)
    missed = Defect("missed", showing(around(rng, 1)), where)
    base = model(rng, missed)
    value = 2 * base.snapshot.detector.score(missed.view).value
    lenient = with_threshold(base, replace(calibrate([1.0, 2.0], 0.2), value=value))
    alike = good_part("alike", showing(around(rng, 1, 15), around(rng, 8, 1)))
    outcome = propose(lenient, LabelledParts((alike,)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.refused == ()


def of_new_material(rng: np.random.Generator, name: str, *more: Patches) -> GoodPart:
    """A good part of a material far from the bank's, with `more` patches in the place of its last ones."""
    return good_part(name, showing(around(rng, NEW_MATERIAL, 16 - sum(map(len, more))), *more))


def with_new_defect(rng: np.random.Generator) -> Model:
    """A model that was shown a defect of the new material, nearer to all of that than the bank is."""
    new = showing(around(rng, NEW_MATERIAL, 15), around(rng, NEW_MATERIAL + 8, 1))
    return model(rng, Defect("new-defect", new, LAST_PATCH), scratch(rng, "old-defect"))


def test_good_parts_of_a_new_material_are_learned_though_its_defects_are_known(rng: np.random.Generator) -> None:
    base = with_new_defect(rng)
    goods = tuple(of_new_material(rng, f"n{i}") for i in range(4))
    outcome = propose(base, LabelledParts(goods), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.refused == ()
    after = outcome.snapshot.detector
    assert after.score(of_new_material(rng, "next").view).value < 4, "it is known now"
    for defect in base.snapshot.confirmed_defects.defects:
        assert is_detected(after, defect, outcome.threshold)


def test_of_a_new_material_one_part_waits_for_others_and_is_not_set_aside(rng: np.random.Generator) -> None:
    outcome = propose(with_new_defect(rng), LabelledParts((of_new_material(rng, "n0"),)), CALM, LIMITS, 0)
    assert isinstance(outcome, Hold)
    assert outcome.blamed == ()


@pytest.mark.parametrize("wrong", [1, 2])
def test_bad_parts_of_a_new_material_that_were_called_good_teach_no_defect(
    rng: np.random.Generator, wrong: int
) -> None:
    base = with_new_defect(rng)
    goods = tuple(of_new_material(rng, f"n{i}") for i in range(4))
    bads = tuple(of_new_material(rng, f"bad{i}", around(rng, NEW_MATERIAL + 8, 1)) for i in range(wrong))
    outcome = propose(base, LabelledParts((*goods, *bads)), CALM, replace(LIMITS, capacity=Capacity(300, 200)), 0)
    assert isinstance(outcome, Proposal)
    assert {bad.sample for bad in bads} <= {*outcome.waiting, *outcome.refused}
    defect = base.snapshot.confirmed_defects.defects[0].patches[-1]
    assert np.linalg.norm(good_of(outcome.snapshot).vectors - defect, axis=1).min() > 5
    assert is_detected(outcome.snapshot.detector, base.snapshot.confirmed_defects.defects[0], outcome.threshold)
