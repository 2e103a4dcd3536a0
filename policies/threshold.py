"""One number in, an honest threshold out: split conformal calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memory.bank import Bank, without
from memory.version import HeldOut


@dataclass(frozen=True)
class Threshold:
    """A score above `value` is flagged.

    `rate` is the false-reject rate asked for, `guaranteed_rate` the one that the sample supports: a new good
    part, exchangeable with the `scores` it was calibrated on, is flagged with at most that probability.
    """

    value: float
    rate: float
    guaranteed_rate: float
    scores: tuple[float, ...]

    @property
    def honest(self) -> bool:
        """Whether there were enough held-out goods for the rate asked for: at least 1/rate − 1."""
        return self.guaranteed_rate <= self.rate

    def p_value(self, score: float) -> float:
        """Conformal p-value (1 + #{held-out ≥ score}) / (n + 1) (Vovk et al. 2005; Bates et al. 2023, eq. 2)."""
        return (1 + sum(s >= score for s in self.scores)) / (len(self.scores) + 1)

    def to_json(self) -> dict[str, Any]:
        """As the manifest holds it."""
        return asdict(self)

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Threshold:
        """As the manifest held it."""
        return cls(held["value"], held["rate"], held["guaranteed_rate"], tuple(held["scores"]))


def good_scores(bank: Bank, held_out: HeldOut) -> list[float]:
    """The score of every calibration part by the bank without that part's own patches.

    For a part that is not in the bank this is split conformal's held-out score. For one that is, it is the
    jackknife's (Barber et al., "Predictive inference with the jackknife+", 2021), and costs no validity here: of
    n + 1 exchangeable parts, each scored by the other n, the new one's rank is uniform, and a calibration part is
    scored by n - 1 of those, which can only raise its distances. The coreset makes that an approximation.
    """
    return [without(bank, s).score(f).value for s, f in zip(held_out.samples, held_out.features, strict=True)]


def calibrate(scores: Sequence[float], rate: float) -> Threshold:
    """The split-conformal threshold for a false-reject rate in (0, 1), from n ≥ 1 held-out good scores.

    The ⌈(n + 1)(1 − rate)⌉-th smallest score (Papadopoulos et al. 2002; Angelopoulos and Bates 2023, section
    1). Where that exceeds n, the largest score is taken and the rate it does guarantee, 1/(n + 1), is stated:
    no smaller rate can honestly be promised from n parts.

    Raises ValueError without scores or for a rate outside (0, 1).
    """
    if not scores or not 0 < rate < 1:
        raise ValueError(f"expected held-out scores and a rate in (0, 1); came {len(scores)} and {rate}")
    ordered = sorted(scores)
    # Rounded first, or 0.1 would not be one tenth of 10 after its float error is ceiled.
    rank = min(math.ceil(round((len(ordered) + 1) * (1 - rate), 9)), len(ordered))
    return Threshold(
        value=ordered[rank - 1],
        rate=rate,
        guaranteed_rate=1 - rank / (len(ordered) + 1),
        scores=tuple(ordered),
    )
