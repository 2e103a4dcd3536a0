"""Tracking of a line's light: slowly, at once after a step, and not during a burst of flagged parts."""

from __future__ import annotations

from collections import deque

import numpy as np

from drift.chart import BURST_FRAMES, Evidence, accumulate, alarming, as_interval, evidence, onset
from drift.light import LightEstimate, apart
from drift.signals import Vector

STEP_FRAMES = 64


class LightTracker:
    """Keeps the estimate of the light (`LightEstimate`), which starts as `taught` (3,).

    A chart of what compensation leaves over, by the taught parts' `spread` (3,) and `limits` (3, 2, T), detects steps.
    The estimate stands still while a burst of flagged parts passes: a defect may darken its whole part.
    """

    def __init__(self, taught: Vector, spread: Vector, limits: Evidence) -> None:
        red, green, blue = taught.tolist()
        self.light = LightEstimate((red, green, blue))
        self._taught = taught
        self._spread = spread
        self._limits = limits
        self._sums = np.zeros_like(limits)
        self._recent: deque[Vector] = deque(maxlen=STEP_FRAMES)
        self._flagged = 0

    def update(self, seen: Vector, *, flagged: bool) -> Vector:
        """Take in a frame's levels `seen` (3,). Returns what compensation left over (3,), common and by colour, in
        spreads."""
        left = self._left(seen)
        self._recent.append(seen)
        self._flagged = self._flagged + 1 if flagged else 0
        if not 0 < self._flagged <= BURST_FRAMES:
            self._sums = accumulate(self._sums, evidence(as_interval(left), self._limits))
            self.light = self._tracked(seen)
        return left

    def _left(self, lights: Vector) -> Vector:
        """What compensation leaves of lights (..., 3), common and by colour, in spreads (..., 3)."""
        return apart(lights, np.array(self.light.levels)) / self._spread

    def _tracked(self, seen: Vector) -> LightEstimate:
        """The estimate after a frame: moved slowly, but where the chart shows a step, set at once to the median of the
        levels since then.
        """
        stepped = np.flatnonzero(alarming(self._sums))
        if not len(stepped):
            return self.light.updated(seen, self._taught)
        recent = np.stack(self._recent)
        log_evidence = evidence(as_interval(self._left(recent)), self._limits)  # (2, n, 3) -> (n, 3, 2, T)
        since = min(onset(log_evidence[:, channel], self._sums[channel]) for channel in stepped.tolist())
        self._sums = np.zeros_like(self._sums)
        self._recent.clear()
        return LightEstimate.within(np.median(recent[since:], axis=0), self._taught)
