"""The calibration set: good parts whose scores set a version's threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from memory.features import Features, View


@dataclass(frozen=True)
class CalibrationSet:
    """Good parts that calibrate the threshold, oldest first; each is scored as if it had not been taught.

    `regimes` are the regimes that they were seen in, by default all 0, the taught one.
    """

    samples: tuple[str, ...]
    features: tuple[Features, ...]
    regimes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "regimes", self.regimes or (0,) * len(self.samples))

    @property
    def views(self) -> tuple[View, ...]:
        """Each part as a view."""
        return tuple(View(features) for features in self.features)

    def grown(
        self, samples: Sequence[str], features: Sequence[Features], regimes: Sequence[int], most: int
    ) -> CalibrationSet:
        """This set with more parts. While there are more than `most`, the oldest of the largest regime is removed."""
        parts = [
            *zip(self.samples, self.features, self.regimes, strict=True),
            *zip(samples, (one.halved for one in features), regimes, strict=True),
        ]
        while len(parts) > most:
            counts = Counter(regime for _, _, regime in parts)
            most_frequent = max(counts.values())
            oldest = next(i for i, (_, _, regime) in enumerate(parts) if counts[regime] == most_frequent)
            del parts[oldest]
        return CalibrationSet(tuple(p[0] for p in parts), tuple(p[1] for p in parts), tuple(p[2] for p in parts))
