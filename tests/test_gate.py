"""The gate: no version that forgets a confirmed defect, and whose part is to blame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from proposals import LAST_PATCH, LIMITS, around, good_part, model, proposal, scratch, showing, twice
from versions import bank_of, good_of

from drift.monitor import CALM
from memory.defects import ConfirmedDefects, Defect
from memory.features import View
from memory.patch_bank.good_patches import gather
from memory.version import Model
from policies.admission import Hold, LabelledParts, Proposal, propose
from policies.gate import GateReport, check
from policies.threshold import Threshold, calibrate, is_detected


def test_the_gate_holds_what_would_forget_a_defect_and_blames_the_part(rng: np.random.Generator) -> None:
    """The poison lies beside the defect, not nearer to it than to the bank: only the gate can see it."""
    base = model(rng, scratch(rng, "d1", 9))
    sly = good_of(base.snapshot).joined(gather([("sly", around(rng, 9, 4))]))
    hold = check(proposal(base, calibrate([1.0, 2.0], 0.5), sly, ("sly",)))
    assert isinstance(hold, Hold)
    assert hold.blamed == ("sly",)
    assert "1 of 1" in hold.reason


def test_the_gate_blames_a_known_part_for_the_patches_that_it_adds_later(rng: np.random.Generator) -> None:
    """A part that waited is in the bank already. Were it not blamed, every later lesson would be held for it."""
    base = model(rng, scratch(rng, "d1", 9))
    known = base.snapshot.detector.samples[0]
    later = gather([(known, around(rng, 9, 4))], [np.arange(900, 904)])
    hold = check(proposal(base, calibrate([1.0, 2.0], 0.5), good_of(base.snapshot).joined(later)))
    assert isinstance(hold, Hold)
    assert hold.blamed == (known,)


def test_the_gate_blames_held_out_parts_that_lift_the_threshold_over_a_defect(rng: np.random.Generator) -> None:
    base = model(rng, scratch(rng, "d1", 9))
    apart = [-30 * axis for axis in np.eye(3)]  # nearer to what is normal than to each other or to the defect
    wild = tuple(good_part(f"w{i}", showing(around(rng, 0, 15), around(rng, a, 1))) for i, a in enumerate(apart))
    outcome = propose(base, LabelledParts(audited=wild), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    hold = check(outcome)
    assert isinstance(hold, Hold)
    assert hold.blamed == ("w0", "w1", "w2")


def test_the_gate_looks_at_the_region_not_only_at_the_image(rng: np.random.Generator) -> None:
    """Another patch of the image still exceeds the threshold by chance: the defect is forgotten all the same."""
    seen = showing(around(rng, 0, 14), around(rng, 15, 1), around(rng, 9, 1))
    base = model(rng, Defect("d", seen, LAST_PATCH))
    good = gather([("taught", good_of(base.snapshot).vectors), ("sly", seen.patches[-1:])])
    threshold = calibrate([1.0, 2.0], 0.5)
    assert bank_of(good).score(View(seen)).value > threshold.value
    assert isinstance(check(proposal(base, threshold, good, ("sly",))), Hold)


def test_a_defect_missed_before_does_not_block_learning(rng: np.random.Generator) -> None:
    base = model(rng, scratch(rng, "hidden", 0))
    outcome = propose(base, LabelledParts(twice("n", showing(around(rng, 6)))), CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    passed = check(outcome)
    assert isinstance(passed, GateReport)
    assert passed.missed == ("hidden",)


def test_where_nobody_can_be_blamed_everything_new_is_so_that_defects_are_still_learned(
    rng: np.random.Generator,
) -> None:
    base = model(rng, scratch(rng, "d1", 9))
    new = good_of(base.snapshot).joined(gather([("new", around(rng, -30, 1))]))
    hold = check(proposal(base, calibrate([100.0], 0.5), new, ("new",)))
    assert isinstance(hold, Hold)
    assert hold.blamed == ("new",)


@pytest.mark.parametrize("kind", ["explained away", "overtaken"])
def test_every_injected_regression_is_refused(kind: str) -> None:
    """100 random defects that the base finds, each hidden by a learned part or by a raised threshold: 100 refused."""
    rng, refused = np.random.default_rng(11), 0
    for i in range(100):
        base, direction = model(rng), rng.normal(size=3)
        where = direction / np.linalg.norm(direction) * rng.uniform(12, 60)
        seen = showing(around(rng, 0, 15), where[None].astype(np.float32))
        defect = Defect(f"d{i}", seen, LAST_PATCH)
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
        refused += isinstance(check(proposal(base, threshold, good, ("sly",))), Hold)
    assert refused == 100
