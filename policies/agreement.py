"""Attribute agreement: how well people, and the line as one of them, tell good parts from defects.

As AIAG, "Measurement Systems Analysis", 4th edition (2010), chapter III C, has it: each appraiser sees each part of
known truth in several trials, in an order that tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policies.outlook import clopper_pearson
from policies.verdict import Label

Ratings = Mapping[str, Sequence[Label]]  # of one appraiser, by part, in the order of the trials

# The limits of AIAG's table: effectiveness at least, misses and false alarms at most, of acceptable and marginal ones.
ACCEPTABLE, MARGINAL = (0.90, 0.02, 0.05), (0.80, 0.05, 0.10)


@dataclass(frozen=True)
class Share:
    """A share of ratings or parts, with its interval."""

    of: int
    all: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.of / self.all if self.all else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies; (0, 1) of nothing."""
        return clopper_pearson(self.of, self.of, self.all)


@dataclass(frozen=True)
class Appraisal:
    """How an appraiser did on the parts that they rated in every trial: `consistent` parts, rated alike in all trials;
    `effective` ones, rated as they are in all; ratings of defects that `missed` them, and `false_alarms` of good parts;
    and Cohen's kappa against the truth, None where chance alone would agree."""

    consistent: Share
    effective: Share
    missed: Share
    false_alarms: Share
    kappa: float | None

    @property
    def verdict(self) -> str:
        """AIAG's word on it; empty where a part of what it takes is not known."""
        values = (self.effective.value, self.missed.value, self.false_alarms.value)
        if None in values:
            return ""
        effective, missed, alarms = (value or 0.0 for value in values)
        for word, (least, misses, most) in (("acceptable", ACCEPTABLE), ("marginal", MARGINAL)):
            if effective >= least and missed <= misses and alarms <= most:
                return word
        return "not acceptable"


def appraised(ratings: Ratings, truth: Mapping[str, Label]) -> Appraisal:
    """The appraisal of one appraiser's ratings of parts whose `truth` is known."""
    parts = {name: list(of) for name, of in ratings.items() if of}
    pairs = [(truth[name], label) for name, of in parts.items() for label in of]
    consistent = sum(len(set(of)) == 1 for of in parts.values())
    effective = sum(set(of) == {truth[name]} for name, of in parts.items())
    defects = [label for known, label in pairs if known is Label.DEFECT]
    goods = [label for known, label in pairs if known is Label.GOOD]
    return Appraisal(
        Share(consistent, len(parts)),
        Share(effective, len(parts)),
        Share(defects.count(Label.GOOD), len(defects)),
        Share(goods.count(Label.DEFECT), len(goods)),
        cohens_kappa(pairs),
    )


def cohens_kappa(pairs: Sequence[tuple[Label, Label]]) -> float | None:
    """The agreement of two raters beyond chance (Cohen, "A coefficient of agreement for nominal scales", 1960): of
    pairs (one's label, the other's), (p_o - p_e) / (1 - p_e); None where chance alone would always agree."""
    if not pairs:
        return None
    count = len(pairs)
    observed = sum(one is other for one, other in pairs) / count
    chance = sum(
        sum(one is label for one, _ in pairs) * sum(other is label for _, other in pairs) / count**2 for label in Label
    )
    return None if chance == 1 else (observed - chance) / (1 - chance)


def fleiss_kappa(ratings: Sequence[Sequence[Label]]) -> float | None:
    """The agreement of several raters beyond chance (Fleiss, "Measuring nominal scale agreement among many raters",
    1971) over parts that were each rated equally often, at least twice; None where chance alone would always agree."""
    if not ratings or len(ratings[0]) < 2:
        return None
    parts, raters = len(ratings), len(ratings[0])
    counts = [[list(of).count(label) for label in Label] for of in ratings]
    shares = [sum(of[k] for of in counts) / (parts * raters) for k in range(len(Label))]
    alike = sum((sum(n * n for n in of) - raters) / (raters * (raters - 1)) for of in counts) / parts
    chance = sum(share * share for share in shares)
    return None if chance == 1 else (alike - chance) / (1 - chance)
