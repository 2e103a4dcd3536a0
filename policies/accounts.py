"""What people's answers tell of a shift or a lot: how many good parts were rejected, and how many defects passed.

Both are bounds for these very parts. Whoever is asked is not chosen at random, so nothing is estimated from answers but
from those about parts that were drawn at random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from policies.outlook import binomial_quantile, clopper_pearson

Bounds = tuple[int, int]
# Beyond three standard deviations on one side (Shewhart, "Economic control of quality of manufactured product", 1931).
BEYOND = 0.00135


@dataclass(frozen=True)
class Labelled:
    """Parts of one verdict: how many, and how many of these people call good and a defect; about the others they have
    said nothing, or differ."""

    parts: int = 0
    good: int = 0
    defect: int = 0

    @property
    def open(self) -> int:
        """How many are not known to be either."""
        return self.parts - self.good - self.defect


@dataclass(frozen=True)
class Account:
    """The frames of a time or a lot by their verdicts, and `drawn`: those of the passed ones that were drawn at random
    before anybody knew their scores."""

    passed: Labelled
    rejected: Labelled
    unknown: Labelled
    drawn: Labelled

    @property
    def judged(self) -> int:
        """How many frames there were."""
        return self.passed.parts + self.rejected.parts + self.unknown.parts

    @property
    def false_rejects(self) -> Bounds:
        """How many good ones were rejected: at least those that people call good, at most also those that nobody has
        settled. It holds always, as far as people are right."""
        return self.rejected.good, self.rejected.good + self.rejected.open

    @property
    def escapes(self) -> Bounds:
        """How many defects were passed; it holds with 95 % confidence, as far as people are right.

        At least and at most what the drawn ones tell by the interval of Clopper and Pearson (1934), where one that
        nobody has settled may be either; at least those that people have found, and at most all but those that they
        call good."""
        share = clopper_pearson(self.drawn.defect, self.drawn.defect + self.drawn.open, self.drawn.parts)
        low, high = math.floor(share[0] * self.passed.parts), math.ceil(share[1] * self.passed.parts)
        least = max(self.passed.defect, low)  # what is known is so, even where the drawn ones were a bad draw
        return least, max(least, min(self.passed.parts - self.passed.good, high))


def control_limits(rate: float, parts: int) -> tuple[float, float]:
    """The limits of a p-chart: where the share of `parts` that are falsely rejected lies while nothing but chance
    changes it, as rarely beyond as by Shewhart's three standard deviations (1931), but by the binomial distribution:
    of few parts and at a small rate the normal one is wrong by far."""
    if not parts:
        return 0.0, 1.0
    low, high = (binomial_quantile(share, parts, rate) / parts for share in (BEYOND, 1 - BEYOND))
    return low, high
