"""Coordinates of plots that are drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """A plot's size and margins, in px."""

    width: int
    height: int
    left: int
    top: int


@dataclass(frozen=True)
class Axes:
    """The axes of a plot: map index and value to SVG coordinates inside its frame."""

    frame: Frame
    count: int
    low: float
    high: float

    def x(self, index: float) -> float:
        """Horizontal position."""
        return round(self.frame.left + (self.frame.width - self.frame.left - 8) * index / max(self.count - 1, 1), 1)

    def y(self, value: float) -> float:
        """Vertical position of a value, clipped to the frame."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.frame.top + (self.frame.height - 2 * self.frame.top) * (1 - share), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """About four horizontal lines with their labels."""
        step = _step((self.high - self.low) / 4)
        first = math.ceil(self.low / step) * step
        return [
            (self.y(first + i * step), f"{first + i * step:.4g}") for i in range(int((self.high - first) / step) + 1)
        ]

    def line(self, values: Sequence[float | None]) -> list[str]:
        """The polylines through the values, broken where one is missing."""
        return self.through(list(enumerate(values)))

    def through(self, points: Sequence[tuple[float, float | None]]) -> list[str]:
        """The polylines through points (index, value), broken where a value is missing."""
        runs: list[list[str]] = [[]]
        for index, value in points:
            if value is None:
                runs.append([])
            else:
                runs[-1].append(f"{self.x(index)},{self.y(value)}")
        return [" ".join(run) for run in runs if run]


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
