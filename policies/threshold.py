"""The threshold for a false-reject rate: by a model of the calibration scores' tail, or else conformal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scipy.special import betaincinv

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import Detector
from memory.progress import steps
from policies.tail import TAIL_SHARE, tail_of

CONFIDENCE = 0.95
NAMED = 5


@dataclass(frozen=True)
class Threshold:
    """A threshold: a part that scores above `value` is flagged.

    `rate` is the false-reject rate asked for, `guaranteed_rate` the one that the sample supports: a new good part,
    exchangeable with the `scores` it was calibrated on, is flagged with at most that probability. `by_tail` is whether
    a model of the scores' tail set it (`policies.tail`), which expects that `rate`; both promises are then those of a
    `value` fixed beforehand, and the test suite measures how well they hold; `odd_parts` are calibration parts
    that this model left out, the oddest first. Else it is the score of the `pivot_part` (empty in manifests that did
    not say), and `value_without_pivot` what it would be without that part. `per_regime` are the thresholds of regimes
    with enough calibration parts.
    """

    value: float
    rate: float
    guaranteed_rate: float
    scores: tuple[float, ...]
    pivot_part: str = ""
    value_without_pivot: float = 0.0
    by_tail: bool = False
    odd_parts: tuple[str, ...] = ()
    per_regime: Mapping[int, Threshold] = field(default_factory=dict)

    def for_regime(self, regime: int) -> Threshold:
        """The threshold of a regime: its own, or else that of all parts together."""
        return self.per_regime.get(regime, self)

    @property
    def confident_rate(self) -> float:
        """The false-reject rate that, with `CONFIDENCE`, this very threshold does not exceed.

        Given its n scores, of which k lie above it, the rate follows Beta(k + 1, n - k) (Vovk 2012, "Conditional
        validity of inductive conformal predictors", section 3).
        """
        above = sum(s > self.value for s in self.scores)
        return float(betaincinv(above + 1, len(self.scores) - above, CONFIDENCE))

    def at(self, rate: float) -> float:
        """The value that the same scores give for another rate."""
        return calibrate(self.scores, rate).value

    @property
    def supports_rate(self) -> bool:
        """Whether there were enough calibration parts for the rate asked for: at least 1/rate − 1."""
        return self.least_rate <= self.rate

    @property
    def least_rate(self) -> float:
        """The smallest false-reject rate that so many calibration parts support without a model: 1/(n + 1)."""
        return 1 / (len(self.scores) + 1)

    @property
    def single_part_dominates(self) -> bool:
        """Whether one part's score raises the threshold by more than a tenth: people should check that the part is
        good."""
        return bool(self.pivot_part) and self.value > 1.1 * self.value_without_pivot

    @property
    def promise(self) -> str:
        """In words, what the threshold promises, and parts that are odd or dominate it, if there are any."""
        sentences = [f"asked for {self.rate:.1%} false rejects"]
        if self.by_tail:
            sentences.append(f"about {self.rate:.1%} are expected")
        elif not self.supports_rate:
            sentences.append(f"{len(self.scores)} good parts support no less than {self.least_rate:.1%}")
        sentences.append(f"with {CONFIDENCE:.0%} confidence at most {self.confident_rate:.1%}")
        if self.odd_parts:
            sentences.append(
                f"{listed(self.odd_parts)} {'is' if len(self.odd_parts) == 1 else 'are'} odd and left out of it:"
                " see whether they are good parts"
            )
        if self.single_part_dominates:
            sentences.append(
                f"{self.pivot_part} alone sets the threshold, which were {self.value_without_pivot:.4f} without it:"
                " see whether that part is good, for what is no odder will pass"
            )
        return "; ".join(sentences)

    def p_value(self, score: float) -> float:
        """The conformal p-value (1 + #{calibration scores ≥ score}) / (n + 1) (Vovk et al. 2005; Bates et al. 2023, eq.
        2)."""
        return (1 + sum(s >= score for s in self.scores)) / (len(self.scores) + 1)

    def to_json(self) -> dict[str, Any]:
        """The threshold as JSON for the manifest, by the names that older versions wrote too."""
        per_regime = {str(regime): threshold.to_json() for regime, threshold in self.per_regime.items()}
        return {
            "value": self.value,
            "rate": self.rate,
            "guaranteed_rate": self.guaranteed_rate,
            "scores": self.scores,
            "set_by": self.pivot_part,
            "without": self.value_without_pivot,
            **({"by_tail": True, "odd": self.odd_parts} if self.by_tail else {}),
            **({"own": per_regime} if per_regime else {}),
        }

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Threshold:
        """The threshold that `to_json` wrote."""
        return cls(
            record["value"],
            record["rate"],
            record["guaranteed_rate"],
            tuple(record["scores"]),
            pivot_part=record.get("set_by", ""),
            value_without_pivot=record.get("without", 0.0),
            by_tail=record.get("by_tail", False),
            odd_parts=tuple(record.get("odd", ())),
            per_regime={int(regime): cls.of(threshold) for regime, threshold in record.get("own", {}).items()},
        )


def threshold_of_scores(
    calibration_set: CalibrationSet, scores: Sequence[float], defect_scores: Sequence[float], rate: float
) -> Threshold:
    """The threshold, also by regime, of calibration parts with these `scores`; `defect_scores` are those of confirmed
    defects under their masks."""
    pooled = _with_pivot(calibrate(scores, rate), calibration_set.samples, scores)
    return replace(pooled, per_regime=_per_regime(pooled, calibration_set, scores, defect_scores))


def leave_one_out_scores(detector: Detector, calibration_set: CalibrationSet) -> list[float]:
    """The score of every calibration part as if it had not been taught.

    For a part that taught nothing this is split conformal's held-out score. For one that did, it is the jackknife's
    (Barber et al., "Predictive inference with the jackknife+", 2021): of n + 1 exchangeable parts, each scored by the
    other n, the new one's rank is uniform, and a calibration part is scored by n - 1 of those. It is an approximation,
    since n - 1 parts stand for n, and by the coreset and the landmarks; the test suite measures it.
    """
    parts = list(zip(calibration_set.views, calibration_set.samples, strict=True))
    told = steps(parts, "parts, each scored as if it had not been taught")
    return [detector.score_without(view, sample).value for view, sample in told]


def is_detected(detector: Detector, defect: Defect, threshold: Threshold) -> bool:
    """Whether the defect's own region exceeds the threshold, without the memory of confirmed defects: that a detector
    remembers this very defect proves nothing for the next of its kind."""
    return detector.score_in(defect.view, defect.mask).value > threshold.value


def _with_pivot(threshold: Threshold, samples: Sequence[str], scores: Sequence[float]) -> Threshold:
    """The threshold with the parts that are too odd for its model, or with its pivot: the part that sets it, of equals
    the first."""
    tail = tail_of(threshold.scores) if threshold.by_tail else None
    if tail is not None:
        oddest = sorted(range(len(scores)), key=lambda i: -scores[i])[: len(scores) - tail.usual]
        return replace(threshold, odd_parts=tuple(samples[i] for i in oddest))
    pivot = list(scores).index(threshold.value)
    rest = [score for i, score in enumerate(scores) if i != pivot]
    value_without = calibrate(rest, threshold.rate).value if rest else threshold.value
    return replace(threshold, pivot_part=samples[pivot], value_without_pivot=value_without)


def _per_regime(
    pooled: Threshold, calibration_set: CalibrationSet, scores: Sequence[float], defect_scores: Sequence[float]
) -> dict[int, Threshold]:
    """Thresholds of regimes from their own calibration parts, as Mondrian conformal prediction has it (Vovk, Gammerman
    and Shafer 2005, section 4.5).

    Only where these are enough for the rate asked for, and where no confirmed defect, by `defect_scores`, would be
    missed that the `pooled` threshold finds.
    """
    faintest = min((score for score in defect_scores if score > pooled.value), default=math.inf)
    thresholds: dict[int, Threshold] = {}
    for regime in sorted(set(calibration_set.regimes)):
        members = [i for i, seen_in in enumerate(calibration_set.regimes) if seen_in == regime]
        own_scores = [scores[i] for i in members]
        own = calibrate(own_scores, pooled.rate)
        if len(members) < len(scores) and own.supports_rate and own.value < faintest:
            thresholds[regime] = _with_pivot(own, [calibration_set.samples[i] for i in members], own_scores)
    return thresholds


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def calibrate(scores: Sequence[float], rate: float) -> Threshold:
    """The threshold for a false-reject rate in (0, 1), from n ≥ 1 calibration scores.

    Where a model of their tail fits the scores, it is the score that this share of good parts is expected to exceed:
    the largest of few scores is an honest bound, and one odd part decides it. Else it is split-conformal: the
    ⌈(n + 1)(1 − rate)⌉-th smallest score (Papadopoulos et al. 2002; Angelopoulos and Bates 2023, section 1). Where
    that exceeds n, the largest score is taken, with the rate that it does guarantee, 1/(n + 1): n parts support no
    smaller one.

    Raises ValueError without scores or for a rate outside (0, 1).
    """
    if not scores or not 0 < rate < 1:
        raise ValueError(f"expected held-out scores and a rate in (0, 1); came {len(scores)} and {rate}")
    ordered = sorted(scores)
    tail = tail_of(tuple(ordered)) if rate < TAIL_SHARE else None
    if tail is not None:
        value = tail.quantile(rate)
        above = sum(score > value for score in ordered)
        guaranteed = (above + 1) / (len(ordered) + 1)
        return Threshold(value, rate, guaranteed, tuple(ordered), by_tail=True)
    # Rounded first, or 0.1 would not be one tenth of 10 after its float error is ceiled.
    rank = max(min(math.ceil(round((len(ordered) + 1) * (1 - rate), 9)), len(ordered)), 1)
    return Threshold(
        value=ordered[rank - 1],
        rate=rate,
        guaranteed_rate=1 - rank / (len(ordered) + 1),
        scores=tuple(ordered),
    )
