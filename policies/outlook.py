"""The thresholds that the calibration parts allow, each with its false rejects and the defects that it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from policies.threshold import CONFIDENCE

Interval = tuple[float, float]


@dataclass(frozen=True)
class Choice:
    """A possible threshold: the false-reject rate that it promises, the confidence interval of that rate, how many
    confirmed defects it finds, and the confidence interval of recall; both intervals at `CONFIDENCE`."""

    value: float
    rate: float
    false_rejects: Interval
    found: int
    recall: Interval


def choices(goods: Sequence[float], defects: Sequence[float]) -> list[Choice]:
    """A choice for every calibration score of n ≥ 1 `goods`, the lowest first: conformal calibration takes no other
    value. `defects` are the scores of confirmed defects; without any, recall may be anything.

    At the j-th smallest score 1 - j/(n + 1) is promised, and the rate given these very parts follows
    Beta(n - j + 1, j) (Vovk 2012, "Conditional validity of inductive conformal predictors", section 3).
    """
    ordered, count = sorted(goods), len(goods)
    detected = [sum(score > value for score in defects) for value in ordered]
    return [
        Choice(
            value=value,
            rate=1 - (j + 1) / (count + 1),
            false_rejects=_middle(count - j, j + 1),
            found=detected[j],
            recall=recall(detected[j], len(defects)),
        )
        for j, value in enumerate(ordered)
    ]


def recall(detected: int, defects: int) -> Interval:
    """The confidence interval of recall, at `CONFIDENCE`, after `detected` of so many `defects` (Clopper and Pearson
    1934, "The use of confidence or fiducial limits illustrated in the case of the binomial")."""
    low, _ = _middle(detected, defects - detected + 1) if detected else (0.0, 0.0)
    _, high = _middle(detected + 1, defects - detected) if detected < defects else (1.0, 1.0)
    return low, high


def _middle(alpha: float, beta: float) -> Interval:
    """The middle `CONFIDENCE` of a beta distribution."""
    tail = (1 - CONFIDENCE) / 2
    low, high = betaincinv(alpha, beta, np.array([tail, 1 - tail]))
    return float(low), float(high)
