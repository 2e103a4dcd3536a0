"""Whether a version that was taught finds the defects that people know, and what another rate would find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.agreement import Share
from policies.threshold import calibrate

LEAST_FOUND = 0.9  # of the known defects: whoever goes live with less must mean it
RATES = (0.05, 0.1, 0.2)
UNLIKE_FROM, LEAST_FRAMES = 0.5, 10
FEW_PARTS = 50


@dataclass(frozen=True)
class SetupCheck:
    """The scores of known defects in multiples of the threshold."""

    shares: tuple[float, ...]

    @property
    def found(self) -> Share:
        """How many of them are found, with the interval for all such defects."""
        return Share(sum(share > 1 for share in self.shares), len(self.shares))

    @property
    def bad(self) -> bool:
        """Whether so few are found that going live must be meant."""
        return bool(self.shares) and (self.found.value or 0.0) < LEAST_FOUND

    @property
    def words(self) -> str:
        """What came of it, for people."""
        low, high = self.found.interval
        missed = [share for share in self.shares if share <= 1]
        told = (
            f"{self.found.of} of {self.found.all} known defects are found: of all such defects {100 * low:.0f} to"
            f" {100 * high:.0f} %, with 95 % confidence"
        )
        return f"{told}. The missed ones have {min(missed):.2f} to {max(missed):.2f} thresholds" if missed else told


@dataclass(frozen=True)
class OtherRate:
    """A false-reject rate that would find more: the rate that is expected, and how many known defects it finds."""

    rate: float
    found: int


def other_rates(goods: Sequence[float], defects: Sequence[float], in_force: float) -> list[OtherRate]:
    """The higher rates of `RATES` that find more of the known defects, by their scores, than the one in force, each
    more than the one before."""
    found, better = sum(score > calibrate(goods, in_force).value for score in defects), []
    for rate in RATES:
        above = sum(score > calibrate(goods, rate).value for score in defects) if rate > in_force else 0
        if above > found:
            found = above
            better.append(OtherRate(rate, above))
    return better


def advice(check: SetupCheck, parts: int, region_drawn: bool) -> list[str]:
    """What an engineer can do about missed defects besides what is tried."""
    if not check.bad:
        return []
    more = f"teach more good parts: {parts} are few, {FEW_PARTS} or more of a usual day tell better what varies"
    region = "draw the region: what lies outside of the part varies, and raises the threshold"
    return [*([more] if parts < FEW_PARTS else []), *([] if region_drawn else [region])]


def unlike_line(shares: Sequence[float]) -> str:
    """Whether what was taught is another thing than the line shows, by the scores of its newest passed frames in
    multiples of the new threshold; empty where it is not, or where there are too few."""
    over = sum(share > 1 for share in shares)
    if len(shares) < LEAST_FRAMES or over < UNLIKE_FROM * len(shares):
        return ""
    return (
        f"It would reject {over} of the newest {len(shares)} parts that this line has passed: are the taught parts of"
        " this line, in its light, as its camera sees them now?"
    )
