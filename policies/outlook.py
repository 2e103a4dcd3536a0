"""The thresholds that the calibration parts allow, each with its false rejects and the defects that it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from policies.threshold import CONFIDENCE, calibrate

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
    """A choice for each of the rates j/(n + 1) of n ≥ 1 `goods`, the largest first: what `calibrate` makes of it.
    `defects` are the scores of confirmed defects; without any, recall may be anything.

    Where k of the scores lie above a threshold, the rate given these very parts follows Beta(k + 1, n - k) (Vovk 2012,
    "Conditional validity of inductive conformal predictors", section 3).
    """
    count, made = len(goods), []
    for j in range(count):
        rate = 1 - (j + 1) / (count + 1)
        value = calibrate(goods, rate).value
        above, found = sum(score > value for score in goods), sum(score > value for score in defects)
        made.append(Choice(value, rate, _middle(above + 1, count - above), found, recall(found, len(defects))))
    return made


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
