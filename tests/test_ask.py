"""Which parts people are asked about: the audit draw, and the budget of questions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ledger.ledger import REVIEWED_FRAMES
from policies.ask import asked, audited
from policies.verdict import Verdict


@given(share=st.floats(0, 1))
def test_the_audit_draw_is_fair_and_repeatable(share: float) -> None:
    drawn = [audited(f"frame-{i}", share) for i in range(2000)]
    assert drawn == [audited(f"frame-{i}", share) for i in range(2000)]
    assert abs(np.mean(drawn) - share) < 0.05


@given(p_value=st.floats(0, 1), spent=st.floats(0, 2), rate=st.floats(0.01, 0.99))
def test_the_scarcer_questions_get_the_odder_a_passed_part_must_be(p_value: float, spent: float, rate: float) -> None:
    ask = asked(Verdict.OK, p_value, spent, 0.0, rate)
    assert not ask or (p_value <= rate and spent < 1)
    assert not ask or asked(Verdict.OK, p_value / 2, spent / 2, 0.0, rate)
    assert asked(Verdict.NG, p_value, spent, 1.0, rate) == (spent < 1)


def test_no_larger_share_of_passed_parts_is_asked_about_than_was_set() -> None:
    """In a new condition every good part is odd."""
    asks: list[bool] = []
    for _ in range(1000):
        asks.append(asked(Verdict.OK, 0.001, 0.0, sum(asks[-REVIEWED_FRAMES:]) / REVIEWED_FRAMES, 0.1))
    assert np.mean(asks) == pytest.approx(0.1, abs=0.01)


def test_a_dispute_is_asked_about_within_the_budget() -> None:
    assert asked(Verdict.OK, 1.0, 0.5, 1.0, 0.1, disputed=True)
    assert not asked(Verdict.OK, 1.0, 0.5, 0.0, 0.1)
    assert not asked(Verdict.OK, 1.0, 1.0, 0.0, 0.1, disputed=True)
