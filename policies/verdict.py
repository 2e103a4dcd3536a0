"""Verdicts on frames, and the labels of operators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drift.monitor import DriftState, Trust
from drift.signals import CAMERA, LIGHT
from policies.threshold import Threshold


class Verdict(StrEnum):
    """The verdict on a frame. UNKNOWN is one of them: a line must never read silence as OK."""

    OK = "OK"
    NG = "NG"
    UNKNOWN = "UNKNOWN"


class Label(StrEnum):
    """The label of a part, as an operator confirms it."""

    GOOD = "good"
    DEFECT = "defect"


@dataclass(frozen=True)
class Decision:
    """A verdict with its reason in words and, where a score was given, its conformal p-value."""

    verdict: Verdict
    reason: str
    p_value: float | None


def decide(score: float, threshold: Threshold, drift: DriftState) -> Decision:
    """The verdict by score: NG above the threshold, OK otherwise; UNKNOWN where the scene has drifted beyond trust."""
    p_value = threshold.p_value(score)
    if drift.trust is Trust.UNTRUSTED:
        worst = max((*LIGHT, *CAMERA), key=lambda name: abs(drift.deviation[name]))
        return Decision(
            Verdict.UNKNOWN,
            f"scene beyond trust: {worst} is {drift.deviation[worst]:+.1f} spreads from the taught parts",
            p_value,
        )
    if score > threshold.value:
        return Decision(Verdict.NG, f"score {score:.3f} above threshold {threshold.value:.3f}", p_value)
    return Decision(Verdict.OK, f"score {score:.3f} within threshold {threshold.value:.3f}", p_value)


def unknown(reason: str) -> Decision:
    """The verdict of a frame that could not be scored."""
    return Decision(Verdict.UNKNOWN, reason, None)
