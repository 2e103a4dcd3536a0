"""A score, a threshold and the scene make a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drift.monitor import CALM, Trust
from policies.threshold import calibrate
from policies.verdict import Verdict, decide


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
