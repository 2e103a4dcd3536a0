"""Decisions: verdict, audit draw, admission and gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import bank_of, features, good_of
from hypothesis import given
from hypothesis import strategies as st

from drift.monitor import CALM, Trust
from memory.calibration import CalibrationSet
from memory.defects import ConfirmedDefects, Defect
from memory.detector import Capacity, GoodPart
from memory.features import Features, View
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.good_patches import GoodPatches, gather
from memory.patch_bank.learner import PatchBankLearner
from memory.version import Model, Snapshot, Version
from policies.admission import Hold, LabelledParts, Proposal, propose
from policies.ask import asked, audited
from policies.fitting import Fitted, Limits
from policies.gate import GateReport, check
from policies.remedies import remedy
from policies.threshold import Threshold, calibrate, is_detected, leave_one_out_scores
from policies.verdict import Verdict, decide

LIMITS = Limits(Capacity(size=110, lesson=10), calibration_parts=20, defects=10, rate=0.2, review_rate=0.2)
NONE = ConfirmedDefects()
RNG = np.random.default_rng(0)


def around(
    centre: float | np.ndarray[tuple[int], np.dtype[np.float64]], count: int = 16
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return (centre + RNG.integers(-1, 2, (count, 3))).astype(np.float32)


def image(
    *patches: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.concatenate(patches)


def model(replay: ConfirmedDefects = NONE) -> Model:
    """Normal patches lie around 0; held-out goods score little."""
    bank = bank_of(gather([(f"taught{i}", around(0, 30)) for i in range(3)]))
    parts = tuple(features(around(0)) for _ in range(9))
    threshold = calibrate([bank.score(View(f)).value for f in parts], 0.2)
    version = Version(1, None, None, "teach", "x", "", "e", {}, 30, threshold.to_json(), (), (), (), {}, 0)
    return Model(version, Snapshot(bank, replay, CalibrationSet(tuple(f"h{i}" for i in range(9)), parts), {}))


def good_part(name: str, seen: Features) -> GoodPart:
    return GoodPart(name, View(seen))


def proposal(base: Model, good: GoodPatches, threshold: Threshold, added: tuple[str, ...] = ()) -> Proposal:
    """A proposal of other good patches than the base's."""
    bank = base.snapshot.detector
    assert isinstance(bank, PatchBank)
    return Proposal(base, replace(base.snapshot, detector=bank.with_good(good)), threshold, added, (), ())


def scratch(name: str, where: float = 20) -> Defect:
    seen = features(image(around(0, 15), around(where, 1)))
    region = np.zeros((1, 16), dtype=bool)
    region[0, -1] = True
    return Defect(name, seen, region)


def twice(name: str, seen: Features) -> tuple[GoodPart, GoodPart]:
    """Two parts that show the same: what is new is learned."""
    return good_part(name, seen), good_part(f"{name}-2", seen)


def confirmed(
    goods: tuple[GoodPart, ...] = (), audited_goods: tuple[GoodPart, ...] = (), defects: tuple[Defect, ...] = ()
) -> LabelledParts:
    return LabelledParts(goods, audited_goods, defects)


def test_a_novel_good_part_is_admitted_and_then_known() -> None:
    base, (novel, twin) = model(), twice("new", features(image(around(0, 14), around(8, 2))))
    outcome = propose(base, confirmed((novel, twin)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert "new" in outcome.added
    assert outcome.waiting == ()
    assert outcome.snapshot.detector.score(novel.view).value < base.snapshot.detector.score(novel.view).value / 2
    assert isinstance(check(outcome), GateReport)


def test_a_part_that_looks_like_a_confirmed_defect_is_refused() -> None:
    base = model(ConfirmedDefects((scratch("d1"),)))
    poison = good_part("poison", scratch("x").features)
    outcome = propose(base, confirmed((poison,)), CALM, LIMITS, 0)
    assert outcome == Hold("every confirmed part lies nearer to a confirmed defect than to the bank", ("poison",))
    novel = twice("new", features(image(around(0, 14), around(8, 2))))
    both = propose(base, confirmed((poison, *novel)), CALM, LIMITS, 0)
    assert isinstance(both, Proposal)
    assert both.refused == ("poison",)
    assert "new" in both.added


def test_the_gate_holds_what_would_forget_a_defect_and_blames_the_part() -> None:
    """The poison lies beside the defect, not nearer to it than to the bank: only the gate can see it."""
    base = model(ConfirmedDefects((scratch("d1", 9),)))
    sly = good_of(base.snapshot).joined(gather([("sly", around(9, 4))]))
    hold = check(proposal(base, sly, calibrate([1.0, 2.0], 0.5), ("sly",)))
    assert isinstance(hold, Hold)
    assert hold.blamed == ("sly",)
    assert "1 of 1" in hold.reason


def test_the_gate_blames_a_known_part_for_the_patches_that_it_adds_later() -> None:
    """A part that waited is in the bank already. Were it not blamed, every later lesson would be held for it."""
    base = model(ConfirmedDefects((scratch("d1", 9),)))
    known = base.snapshot.detector.samples[0]
    later = gather([(known, around(9, 4))], [np.arange(900, 904)])
    hold = check(proposal(base, good_of(base.snapshot).joined(later), calibrate([1.0, 2.0], 0.5)))
    assert isinstance(hold, Hold)
    assert hold.blamed == (known,)


def test_the_gate_blames_held_out_parts_that_lift_the_threshold_over_a_defect() -> None:
    base = model(ConfirmedDefects((scratch("d1", 9),)))
    apart = [-30 * axis for axis in np.eye(3)]  # nearer to what is normal than to each other or to the defect
    wild = tuple(good_part(f"w{i}", features(image(around(0, 15), around(a, 1)))) for i, a in enumerate(apart))
    outcome = propose(base, confirmed(audited_goods=wild), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    hold = check(outcome)
    assert isinstance(hold, Hold)
    assert hold.blamed == ("w0", "w1", "w2")


def test_the_gate_looks_at_the_region_not_only_at_the_image() -> None:
    """Another patch of the image still exceeds the threshold by chance: the defect is forgotten all the same."""
    seen = features(image(around(0, 14), around(15, 1), around(9, 1)))
    region = np.zeros((1, 16), dtype=bool)
    region[0, -1] = True
    base = model(ConfirmedDefects((Defect("d", seen, region),)))
    good = gather([("taught", good_of(base.snapshot).vectors), ("sly", seen.patches[-1:])])
    threshold = calibrate([1.0, 2.0], 0.5)
    assert bank_of(good).score(View(seen)).value > threshold.value
    assert isinstance(check(proposal(base, good, threshold, ("sly",))), Hold)


def test_a_defect_missed_before_does_not_block_learning() -> None:
    base = model(ConfirmedDefects((scratch("hidden", 0),)))
    outcome = propose(base, confirmed(twice("n", features(around(6)))), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    passed = check(outcome)
    assert isinstance(passed, GateReport)
    assert passed.missed == ("hidden",)


def test_a_new_defect_alone_is_remembered() -> None:
    outcome = propose(model(), confirmed(defects=(scratch("d1"),)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.snapshot.confirmed_defects.samples == ("d1",)
    assert np.array_equal(good_of(outcome.snapshot).vectors, good_of(outcome.base.snapshot).vectors)


def test_audited_goods_calibrate_and_are_learned() -> None:
    audit, twin = twice("audit", features(around(3)))
    outcome = propose(model(), confirmed(audited_goods=(twin, audit)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.snapshot.calibration_set.samples[-1] == "audit"
    assert {"audit", "audit-2"} & set(outcome.snapshot.detector.samples)
    now_known = outcome.snapshot.detector.score(audit.view).value
    assert now_known < max(outcome.threshold.scores), "it calibrates by what the others taught, not by itself"
    assert len(outcome.threshold.scores) == 11


def test_an_audited_part_that_looks_like_a_confirmed_defect_does_not_calibrate() -> None:
    base = model(ConfirmedDefects((scratch("d1"),)))
    careless, fine = good_part("careless", scratch("x").features), good_part("fine", features(around(3)))
    outcome = propose(base, confirmed(audited_goods=(careless, fine)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.refused == ("careless",)
    assert outcome.snapshot.calibration_set.samples[-1] == "fine"


def test_where_nobody_can_be_blamed_everything_new_is_so_that_defects_are_still_learned() -> None:
    base = model(ConfirmedDefects((scratch("d1", 9),)))
    new = good_of(base.snapshot).joined(gather([("new", around(-30, 1))]))
    hold = check(proposal(base, new, calibrate([100.0], 0.5), ("new",)))
    assert isinstance(hold, Hold)
    assert hold.blamed == ("new",)


def test_nothing_new_and_nothing_trusted_are_held() -> None:
    base = model()
    known = good_part("k", features(good_of(base.snapshot).vectors[:4].copy()))
    assert isinstance(propose(base, confirmed((known,)), CALM, LIMITS, 0), Hold)
    assert isinstance(propose(base, confirmed(), CALM, LIMITS, 0), Hold)
    lost = replace(CALM, trust=Trust.UNTRUSTED)
    hold = propose(base, confirmed((good_part("n", features(around(6))),)), lost, LIMITS, 0)
    assert isinstance(hold, Hold)
    assert "paused" in hold.reason


@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=5), bank=st.integers(30, 60), seed=st.integers(0, 99))
def test_the_budget_is_kept_and_the_result_deterministic(counts: list[int], bank: int, seed: int) -> None:
    base, limits = model(), replace(LIMITS, capacity=Capacity(bank, 10))
    rng = np.random.default_rng(seed)
    goods = tuple(good_part(f"g{i}", features(rng.integers(-20, 20, (n, 3)))) for i, n in enumerate(counts))
    one, two = (propose(base, confirmed(goods), CALM, limits, seed) for _ in range(2))
    if isinstance(one, Proposal) and isinstance(two, Proposal):
        assert one.snapshot.detector.size <= max(bank, base.snapshot.detector.size)
        assert np.array_equal(good_of(one.snapshot).vectors, good_of(two.snapshot).vectors)
        assert one.threshold == two.threshold
        assert set(one.added) <= set(one.snapshot.detector.samples)
    else:
        assert one == two


@pytest.mark.parametrize(("score", "verdict"), [(0.5, Verdict.OK), (1.0, Verdict.OK), (1.1, Verdict.NG)])
def test_a_verdict_compares_with_the_threshold(score: float, verdict: Verdict) -> None:
    decision = decide(score, calibrate([1.0], 0.5), CALM)
    assert decision.verdict is verdict
    assert decision.p_value is not None


def test_beyond_trust_nothing_is_ok() -> None:
    lost = replace(CALM, trust=Trust.UNTRUSTED, deviation=CALM.deviation | {"sharpness": -15.0, "material_1": 50.0})
    decision = decide(0.0, calibrate([1.0], 0.5), lost)
    assert decision.verdict is Verdict.UNKNOWN
    assert "sharpness" in decision.reason


@given(share=st.floats(0, 1))
def test_the_audit_draw_is_fair_and_repeatable(share: float) -> None:
    drawn = [audited(f"frame-{i}", share) for i in range(2000)]
    assert drawn == [audited(f"frame-{i}", share) for i in range(2000)]
    assert abs(np.mean(drawn) - share) < 0.05


@given(p_value=st.floats(0, 1), spent=st.floats(0, 2), rate=st.floats(0.01, 0.99))
def test_the_scarcer_questions_get_the_odder_a_passed_part_must_be(p_value: float, spent: float, rate: float) -> None:
    ask = asked(Verdict.OK, p_value, spent, rate)
    assert not ask or (p_value <= rate and spent < 1)
    assert not ask or asked(Verdict.OK, p_value / 2, spent / 2, rate)
    assert asked(Verdict.NG, p_value, spent, rate) == (spent < 1)


@given(n=st.integers(1, 80), rate=st.floats(0.01, 0.9))
def test_the_confident_rate_is_no_smaller_than_the_mean_one(n: int, rate: float) -> None:
    threshold = calibrate([float(i) for i in range(n)], rate)
    assert threshold.guaranteed_rate < threshold.confident_rate <= 1


def test_the_confident_rate_of_the_largest_of_fifty_nine_is_a_twentieth() -> None:
    """The textbook number: 59 parts for 95 % confidence in 5 % (Wilks 1941)."""
    confident = calibrate([float(i) for i in range(59)], 0.01).confident_rate
    assert abs(confident - 0.05) < 0.001


def test_what_one_part_alone_shows_waits_for_a_second() -> None:
    base = model()
    one, two = twice("new", features(image(good_of(base.snapshot).vectors[:14], around(8, 2))))
    hold = propose(base, confirmed((one,)), CALM, LIMITS, 0)
    assert isinstance(hold, Hold)
    assert "it takes two" in hold.reason
    assert hold.blamed == (), "nobody is set aside for it"
    twin = replace(two, part="new")
    assert propose(base, confirmed((one, twin)), CALM, LIMITS, 0) == replace(hold, reason=hold.reason.replace("1", "2"))
    other = good_part("other", features(image(good_of(base.snapshot).vectors[:14], around(-8, 2))))
    partly = propose(base, confirmed((one, two, other)), CALM, LIMITS, 0)
    assert isinstance(partly, Proposal)
    assert partly.waiting == ("other",)
    assert partly.snapshot.detector.score(other.view).value > Threshold.of(base.version.threshold).value


def test_what_would_hide_the_most_anomalous_patch_of_a_known_defect_is_left_out() -> None:
    """It lies nearer to what is normal than to the defect, so only its nearness to the threshold tells."""
    base = model(ConfirmedDefects((scratch("d1", 9),)))
    bound = 2.0
    base = Model(replace(base.version, threshold=calibrate([bound] * 9, 0.2).to_json()), base.snapshot)
    defect = base.snapshot.confirmed_defects.defects[0].patches[-1]
    between = (defect * (1 - 0.9 * bound / np.linalg.norm(defect))).astype(np.float32)
    one, two = twice("new", features(image(around(-8, 2), good_of(base.snapshot).vectors[:13], between[None])))
    outcome = propose(base, confirmed((one, two)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert "new" in outcome.added
    assert np.linalg.norm(good_of(outcome.snapshot).vectors - defect, axis=1).min() > bound


def test_of_a_part_that_waited_only_what_is_still_new_is_learned() -> None:
    """The rest had its lesson, and may have left the bank since for a defect that it hid."""
    base = model()
    base = Model(replace(base.version, threshold=calibrate([2.0] * 9, 0.2).to_json()), base.snapshot)
    hardly_new = good_of(base.snapshot).vectors[:14] + np.float32(0.4)
    one, two = twice("new", features(image(hardly_new, around(8, 2))))

    def learned(before: Model) -> set[int]:
        outcome = propose(before, confirmed((one, two)), CALM, replace(LIMITS, capacity=Capacity(200, 100)), 0)
        assert isinstance(outcome, Proposal)
        bank = good_of(outcome.snapshot)
        return {int(p) for p in bank.patch_index[bank.sample_index == bank.samples.index("new")]}

    assert len(learned(base)) > 2
    assert learned(Model(replace(base.version, waiting=("new",)), base.snapshot)) <= {14, 15}


def hidden(common: int) -> tuple[Model, Defect]:
    """A base that misses the defect at 20, since one learned part shows `common` patches just there."""
    base, defect = model(), scratch("missed")
    bank = bank_of(gather([*((f"taught{i}", around(0, 100)) for i in range(3)), ("sly", around(20, common))]))
    odd = np.array([[5, 0, 0]], dtype=np.float32)
    calibration = CalibrationSet(tuple(f"h{i}" for i in range(9)), (features(image(around(0, 15), odd)),) * 9)
    threshold = calibrate(leave_one_out_scores(bank, calibration), 0.2)
    assert threshold.value == 4.0
    version = replace(base.version, threshold=threshold.to_json())
    return Model(version, replace(base.snapshot, detector=bank, calibration_set=calibration)), defect


def test_a_missed_defect_is_found_once_what_hid_it_has_left() -> None:
    base, defect = hidden(common=1)
    outcome = propose(base, confirmed(defects=(defect,)), CALM, replace(LIMITS, rate=0.1), 0)
    assert isinstance(outcome, Proposal)
    (done,) = outcome.remedies
    assert (done.defect, done.removed_patches) == ("missed", (("sly", 0),))
    assert outcome.removed == ("sly",)
    assert is_detected(outcome.snapshot.detector, defect, outcome.threshold)
    passed = check(outcome)
    assert isinstance(passed, GateReport)
    assert passed.missed == ()


def test_a_defect_that_a_new_threshold_overtakes_is_remedied_in_the_same_lesson() -> None:
    """Good parts need not be refused for it where a few patches near the defect can leave."""
    base, defect = hidden(common=1)
    near = gather([("sly", defect.patches + np.float32([4.2, 0, 0]))])
    bank = bank_of(good_of(base.snapshot).subset(np.arange(300)).joined(near))
    before = Model(base.version, replace(base.snapshot, detector=bank, confirmed_defects=ConfirmedDefects((defect,))))
    assert is_detected(bank, defect, Threshold.of(base.version.threshold))
    odd = good_part("odd", features(image(around(0, 15), np.array([[5.3, 0, 0]]))))
    outcome = propose(before, confirmed((), (odd,)), CALM, replace(LIMITS, rate=0.05), 0)
    assert isinstance(outcome, Proposal)
    assert outcome.threshold.value == pytest.approx(4.3)
    assert [(done.defect, done.removed_patches) for done in outcome.remedies] == [("missed", (("sly", 0),))]
    assert isinstance(check(outcome), GateReport)


def test_a_defect_that_looks_like_much_of_the_bank_has_no_remedy() -> None:
    """Nothing is taken out in vain; the defect is kept, and the gate's record says that it is missed."""
    base, defect = hidden(common=40)
    outcome = propose(base, confirmed(defects=(defect,)), CALM, LIMITS, 0)
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
    threshold = calibrate(leave_one_out_scores(bank, calibration), rate)
    other = Defect("o", features(rng.normal(scale=3, size=(4, 3))), np.array([[True, False, False, False]]))
    finished = PatchBankLearner().finish(bank, calibration, (), threshold.at)
    chosen = remedy(Fitted(finished, calibration, threshold), defect, (other,))
    if chosen is not None:
        repair, lifted = chosen
        assert repair.detector.size + len(repair.removed_patches) == bank.size
        assert len(repair.removed_patches) <= 0.02 * bank.size
        assert lifted == calibrate(leave_one_out_scores(repair.detector, calibration), rate)
        assert is_detected(repair.detector, defect, lifted)
        assert is_detected(repair.detector, other, lifted) or not is_detected(bank, other, threshold)


def test_what_is_normal_around_a_missed_defect_may_be_learned() -> None:
    """Nobody said where the missed defect is, so its region holds normal patches: they must not refuse good parts."""
    where = np.ones((1, 16), dtype=bool)
    missed = Defect("missed", features(around(1)), where)
    base = model(ConfirmedDefects((missed,)))
    value = 2 * base.snapshot.detector.score(missed.view).value
    lenient = replace(base.version, threshold=replace(calibrate([1.0, 2.0], 0.2), value=value).to_json())
    alike = good_part("alike", features(image(around(1, 15), around(8, 1))))
    outcome = propose(Model(lenient, base.snapshot), confirmed((alike,)), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert outcome.refused == ()


@pytest.mark.parametrize("kind", ["explained away", "overtaken"])
def test_every_injected_regression_is_refused(kind: str) -> None:
    """100 random defects that the base finds, each hidden by a learned part or by a raised threshold: 100 refused."""
    rng, refused = np.random.default_rng(11), 0
    for i in range(100):
        base, direction = model(), rng.normal(size=3)
        where = direction / np.linalg.norm(direction) * rng.uniform(12, 60)
        seen = features(np.concatenate([around(0, 15), where[None].astype(np.float32)]))
        region = np.zeros((1, 16), dtype=bool)
        region[0, -1] = True
        defect = Defect(f"d{i}", seen, region)
        base = Model(base.version, replace(base.snapshot, confirmed_defects=ConfirmedDefects((defect,))))
        before = Threshold.of(base.version.threshold)
        assert is_detected(base.snapshot.detector, defect, before)
        good, threshold = good_of(base.snapshot), before
        if kind == "explained away":
            near = where + rng.normal(size=3) / 9 * before.value
            good = good.joined(gather([("sly", near[None].astype(np.float32))]))
        else:
            threshold = replace(
                before, value=float(base.snapshot.detector.score(View(seen)).map.max()) * rng.uniform(1.0, 1.5)
            )
        refused += isinstance(check(proposal(base, good, threshold, ("sly",))), Hold)
    assert refused == 100
