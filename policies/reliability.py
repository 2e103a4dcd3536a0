"""How far an operator's answers can be trusted: known parts among the questions, and time to look at them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import bdtr

from policies.verdict import Label

NEWEST_CHECKS = 20
LEAST_AGREED = 0.8  # AIAG, Measurement Systems Analysis, 4th edition, attribute agreement: less is not acceptable
SIGNIFICANCE = 0.05
NEWEST_LOOKS = 30
SHORTEST_LOOK_MS = 1000
EVERY_WHILE_DISTRUSTED = 5


@dataclass(frozen=True)
class Look:
    """An answer with how long its part was shown before it was given."""

    label: Label
    looked_ms: int


@dataclass(frozen=True)
class TrackRecord:
    """An operator's newest answers that tell how they are given: of at most `NEWEST_CHECKS` known parts, about how many
    people agree by now, and how many of these were answered so; and at most `NEWEST_LOOKS` answers from the console's
    pages."""

    checks: int = 0
    agreed: int = 0
    looks: Sequence[Look] = ()


def distrust(record: TrackRecord) -> str:
    """Why an operator's answers need a second person, in words; empty where they do not.

    Either so many known parts were answered otherwise that an agreement of `LEAST_AGREED` would show as little in fewer
    than `SIGNIFICANCE` of all draws (the binomial distribution's lower tail), or the last `NEWEST_LOOKS` answers are
    all the same, half of them after less than `SHORTEST_LOOK_MS`.
    """
    if bdtr(record.agreed, record.checks, LEAST_AGREED) < SIGNIFICANCE:
        return f"{record.agreed} of the last {record.checks} known parts were answered as others agree"
    same = len({look.label for look in record.looks}) == 1
    if same and len(record.looks) >= NEWEST_LOOKS:
        median_ms = statistics.median(look.looked_ms for look in record.looks)
        if median_ms < SHORTEST_LOOK_MS:
            label = record.looks[0].label
            return f"the last {len(record.looks)} answers are all {label}, half of them within {median_ms:.0f} ms"
    return ""


def check_due(answers_since: int, record: TrackRecord, every: int) -> bool:
    """Whether an operator is to be shown a known part, this many answers after the last: one among `every` answers (0:
    never), more often while there is distrust, so that trust can be won back."""
    if distrust(record):
        every = min(every, EVERY_WHILE_DISTRUSTED)
    return every > 0 and answers_since >= every - 1


def wanted(shown: int) -> Label:
    """What the next known part should show after so many: first a defect, then a good part, in turn."""
    return Label.GOOD if shown % 2 else Label.DEFECT
