"""Tracking of a line's light: slowly, at once at a start and after a step, and not during a burst of flagged parts."""

from __future__ import annotations

import copy
import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from drift.chart import BURST_FRAMES, Evidence, accumulate, alarming, as_interval, evidence, onset
from drift.light import LightEstimate, apart
from drift.signals import Vector

STEP_FRAMES = 64
START_FRAMES, START_SPREADS = 8, 4.0
PAUSE_MS = 600_000


@dataclass(frozen=True)
class Start:
    """A line's first frames, or its first after a pause: the light `before` them, and their levels, (3,) each."""

    before: LightEstimate
    levels: tuple[Vector, ...] = ()


class LightTracker:
    """Keeps the estimate of the light (`LightEstimate`), which starts as `taught` (3,).

    A chart of what compensation leaves over, by the taught parts' `spread` (3,) and `limits` (3, 2, T), detects steps.
    The estimate stands still while a burst of flagged parts passes: a defect may darken its whole part.

    Before its first frame and in a pause of `PAUSE_MS` a line may get other lamps. So while it starts, for
    `START_FRAMES`, it is the median of these n frames, where that is more than `START_SPREADS`/√n from the estimate
    before them: farther than parts alone would take it.
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
        self._start = Start(self.light)
        self._last_ms: int | None = None

    def starting(self, at_ms: int) -> bool:
        """Whether a frame seen `at_ms` (Unix, ms) is one of a start."""
        return len(self._start_by(at_ms).levels) < START_FRAMES

    def light_with(self, seen: Vector, at_ms: int) -> LightEstimate:
        """The light for a frame of a start with levels `seen` (3,) `at_ms` (Unix, ms)."""
        return self._light_of(self._started(seen, at_ms))

    def after(self, seen: Vector, at_ms: int) -> LightTracker:
        """The tracker as it will be after a frame with levels `seen` (3,) `at_ms` (Unix, ms) that is not flagged; this
        one stays as it is."""
        then = copy.copy(self)
        then._recent = self._recent.copy()  # of this very class
        then.update(seen, at_ms, flagged=False)
        return then

    def update(self, seen: Vector, at_ms: int, *, flagged: bool) -> Vector:
        """Take in a frame's levels `seen` (3,) `at_ms` (Unix, ms). Returns what compensation left over (3,), common and
        by colour, in spreads."""
        starting = self.starting(at_ms)
        if starting:
            self._start = self._started(seen, at_ms)
            self.light = self._light_of(self._start)
            if len(self._start.levels) == 1:
                self._forget()
                self._flagged = 0
        left = self._left(seen)
        self._recent.append(seen)
        self._flagged = self._flagged + 1 if flagged else 0
        self._last_ms = at_ms
        if not starting and not 0 < self._flagged <= BURST_FRAMES:
            self._sums = accumulate(self._sums, evidence(as_interval(left), self._limits))
            self.light = self._tracked(seen)
        return left

    def _start_by(self, at_ms: int) -> Start:
        """The start that a frame seen `at_ms` belongs to, or the last one."""
        paused = self._last_ms is not None and at_ms - self._last_ms >= PAUSE_MS
        return Start(self.light) if paused or not self._start.levels else self._start

    def _started(self, seen: Vector, at_ms: int) -> Start:
        start = self._start_by(at_ms)
        return replace(start, levels=(*start.levels, seen))

    def _light_of(self, start: Start) -> LightEstimate:
        common = np.median(start.levels, axis=0)
        away = np.abs(apart(common, np.array(start.before.levels)) / self._spread).max()
        alike = away <= START_SPREADS / math.sqrt(len(start.levels))
        return start.before if alike else LightEstimate.within(common, self._taught)

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
        self._forget()
        return LightEstimate.within(np.median(recent[since:], axis=0), self._taught)

    def _forget(self) -> None:
        """Forget what was seen under the old lamp: it tells nothing of the new one."""
        self._sums = np.zeros_like(self._sums)
        self._recent.clear()
