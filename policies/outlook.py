"""The thresholds that the calibration parts allow, each with its false rejects and the defects that it finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import bdtrik, betainc, betaincinv

from policies.threshold import CONFIDENCE, calibrate

DRAWS = 2_000
DRAWN_ERROR = 0.01  # two standard errors of a level that so many draws estimate: what is promised is the least of it

Interval = tuple[float, float]


@dataclass(frozen=True)
class Choice:
    """A possible threshold: the false-reject rate that it promises, the interval of that rate, how many confirmed
    defects it finds and of how many that were drawn at random, and the interval of recall that the latter tell.

    Each interval holds, with `CONFIDENCE`, for all thresholds at once: whoever drags the line until its figures please
    is promised no less than by the first one."""

    value: float
    rate: float
    false_rejects: Interval
    found: int
    drawn_found: int
    recall: Interval


def choices(
    goods: Sequence[float], defects: Sequence[float], drawn: Sequence[float], open_drawn: int, in_force: float
) -> list[Choice]:
    """A choice for each of the rates j/(n + 1) of n ≥ 1 `goods`, and for the rate `in_force`, the largest first: what
    `calibrate` makes of it.

    `defects` are the scores of all confirmed defects, which say nothing of recall: people are asked about flagged
    parts, so a defect that is passed is hardly ever confirmed. `drawn` are the scores of those on parts that were drawn
    at random before anybody knew their scores; without any, recall may be anything. Of `open_drawn` more such parts it
    is not known whether they are defects: people answer about flagged parts first, so each may be a missed defect or a
    found one, and the interval holds either way. Raises ValueError where `calibrate` does.
    """
    count, made = len(goods), []
    for rate in sorted({*(1 - (j + 1) / (count + 1) for j in range(count)), in_force}, reverse=True):
        value = calibrate(goods, rate).value
        above, found, drawn_found = (sum(score > value for score in scores) for scores in (goods, defects, drawn))
        seen = len(drawn) + open_drawn
        recall = (band(drawn_found, seen)[0], band(drawn_found + open_drawn, seen)[1])
        made.append(Choice(value, rate, band(above, count), found, drawn_found, recall))
    return made


def in_a_shift(parts: int, rates: Interval) -> tuple[int, int]:
    """How many of a shift's good `parts` are rejected, where the rate lies in `rates`: wider than the rate alone says,
    since a shift is a draw of its own. It holds with `CONFIDENCE` where the interval of the rate does (the binomial
    distribution's quantiles at its ends)."""
    tail = (1 - CONFIDENCE) / 2
    low, high = (binomial_quantile(share, parts, rate) for share, rate in zip((tail, 1 - tail), rates, strict=True))
    return low, high


def band(above: int, count: int) -> Interval:
    """The interval of the share of all parts that score above a threshold, where `above` of `count` drawn ones do. With
    `CONFIDENCE` it holds for every threshold at once; (0, 1) where none was drawn.

    At each threshold it is the interval of Clopper and Pearson ("The use of confidence or fiducial limits illustrated
    in the case of the binomial", 1934), all at the same level, by which together they hold (Aldor-Noiman et al., "The
    power to see: a new graphical test of normality", 2013).
    """
    if count == 0:
        return 0.0, 1.0
    tail = _local_tail(count)
    low = float(betaincinv(above, count - above + 1, tail)) if above else 0.0
    high = float(betaincinv(above + 1, count - above, 1 - tail)) if above < count else 1.0
    return low, high


def clopper_pearson(least: int, most: int, count: int) -> Interval:
    """The interval of a share of which between `least` and `most` of `count` drawn ones tell, with `CONFIDENCE`
    (Clopper and Pearson 1934); (0, 1) for none."""
    if count == 0:
        return 0.0, 1.0
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(least, count - least + 1, tail)) if least else 0.0
    high = float(betaincinv(most + 1, count - most, 1 - tail)) if most < count else 1.0
    return low, high


def binomial_quantile(share: float, parts: int, rate: float) -> int:
    """The least number that so many draws at this rate exceed with at most 1 - `share`."""
    if rate >= 1:
        return parts
    return math.ceil(bdtrik(share, parts, rate)) if (1 - rate) ** parts < share else 0


@lru_cache(maxsize=64)
def _local_tail(count: int) -> float:
    """The probability of each side at which the intervals of all thresholds hold together: what the least likely of
    `count` ordered uniform draws falls short of with the probability 1 - `CONFIDENCE`."""
    drawn = np.sort(np.random.default_rng(count).random((DRAWS, count)), axis=1)
    rank = np.arange(1, count + 1)
    below = betainc(rank, count + 1 - rank, drawn)  # the k-th of n follows Beta(k, n + 1 - k)
    return float(np.quantile(np.minimum(below, 1 - below).min(axis=1), 1 - CONFIDENCE - DRAWN_ERROR))
