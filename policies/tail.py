"""The tail of calibration scores: a model of the largest ones, and the parts that are too odd for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

LEAST_SCORES, LEAST_USUAL = 20, 16
TAIL_SHARE = 1 / 3  # of the scores are its tail
MOST_ODD_SHARE = 0.1  # more are no odd parts but another kind of good ones
ODD = 0.01  # how seldom so wide a gap comes by chance
PRIOR_SCORES = 10  # that count for a shape of 0, an exponential tail
LARGEST_SHAPE = 0.3
DRAWS, MISFIT = 200, 0.05

Ordered = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto distribution of what scores exceed the `start` of the tail by, with its `shape` and
    `scale`; `share` of all scores do. `usual` is how many scores, in ascending order, are not odd."""

    start: float
    shape: float
    scale: float
    share: float
    usual: int

    def quantile(self, rate: float) -> float:
        """The score that a share `rate` < `share` of good parts is expected to exceed."""
        beyond = rate / self.share
        if abs(self.shape) < 1e-9:  # the limit for a shape of 0
            return self.start - self.scale * math.log(beyond)
        return self.start + self.scale / self.shape * math.expm1(-self.shape * math.log(beyond))


@lru_cache(maxsize=64)
def tail_of(ordered: tuple[float, ...]) -> Tail | None:
    """The tail of scores in ascending order, without odd ones; None for fewer than `LEAST_SCORES`, or `LEAST_USUAL`
    without odd ones, and where the model does not fit them.

    Excesses over a high start follow a generalised Pareto distribution (Pickands, "Statistical inference using extreme
    order statistics", 1975). It is fitted by probability-weighted moments (Hosking and Wallis, "Parameter and quantile
    estimation for the generalized Pareto distribution", 1987), its shape drawn towards 0, since so few
    scores hardly tell it. Whether it fits is asked of the Cramér–von Mises statistic by parametric bootstrap (Stute,
    Manteiga and Quindimil, "Bootstrap based goodness-of-fit-tests", 1993).
    """
    usual = count_usual(ordered)
    if len(ordered) < LEAST_SCORES or usual < LEAST_USUAL:
        return None
    scores = np.array(ordered[:usual])
    size = int(usual * TAIL_SHARE)
    excesses = scores[-size:] - scores[-size - 1]
    if excesses[-1] <= 0:  # all alike
        return None
    fitted = _fitted(excesses[None])
    shape, scale = (float(one[0]) for one in fitted)
    if _misfit(excesses[None], fitted)[0] > _usual_misfit(size, shape):
        return None
    return Tail(float(scores[-size - 1]), shape, scale, size / usual, usual)


def count_usual(ordered: Sequence[float]) -> int:
    """How many scores, in ascending order, are not odd: those below the first gap among the upper `MOST_ODD_SHARE` that
    is too wide for the tail below it.

    In an exponential tail the gap above a score is exponential with at most the tail's mean excess (Rényi, "On the
    theory of order statistics", 1953). Going upwards, odd scores that lie together do not hide each other (Davies and
    Gather, "The identification of multiple outliers", 1993).
    """
    count = len(ordered)
    if count < LEAST_SCORES:
        return count
    scores = np.array(ordered)
    for below in range(count - int(count * MOST_ODD_SHARE), count):
        size = int(below * TAIL_SHARE)
        excess = float(scores[below - size : below].mean() - scores[below - size - 1])
        if scores[below] - scores[below - 1] > -math.log(ODD) * excess:
            return below
    return count


def _fitted(excesses: Ordered) -> tuple[Ordered, Ordered]:
    """The shapes and scales (n,) of ascending excesses (n, m)."""
    size = excesses.shape[1]
    mean = excesses.mean(axis=1)
    weighted = (excesses * (size - np.arange(1, size + 1)) / (size - 1)).mean(axis=1)
    by_moments = 2 - mean / np.maximum(mean - 2 * weighted, 1e-12)
    shape = np.clip(by_moments * size / (size + PRIOR_SCORES), -LARGEST_SHAPE, LARGEST_SHAPE)
    return shape, mean * (1 - shape)


def _misfit(excesses: Ordered, fitted: tuple[Ordered, Ordered]) -> Ordered:
    """The Cramér–von Mises statistics (n,) of ascending excesses (n, m)."""
    shape, scale = (one[:, None] for one in fitted)
    size = excesses.shape[1]
    round_shape = np.where(np.abs(shape) < 1e-9, 1e-9, shape)  # the limit for a shape of 0
    inside = np.maximum(1 + round_shape * excesses / scale, 1e-12)
    below = 1 - inside ** (-1 / round_shape)  # (n, m)
    expected = (2 * np.arange(1, size + 1) - 1) / (2 * size)
    statistics: Ordered = ((below - expected) ** 2).sum(axis=1) + 1 / (12 * size)
    return statistics


@lru_cache(maxsize=256)
def _usual_misfit(size: int, shape: float) -> float:
    """The statistic that `MISFIT` of so many draws from a tail of this shape exceed; the scale does not matter."""
    drawn = np.random.default_rng(size).exponential(size=(DRAWS, size))
    curve = drawn if abs(shape) < 1e-9 else np.expm1(shape * drawn) / shape  # the limit for 0
    excesses = np.sort(curve, axis=1)
    return float(np.quantile(_misfit(excesses, _fitted(excesses)), 1 - MISFIT))
