"""Has the scene changed, and since when: the only module that imports river."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from river import drift as detectors

from drift.exposure import Exposure
from drift.signals import IMAGE_SIGNALS, SIGNALS, Reference, Signals

CHART_RATE = 0.05
CHART_LIMIT = 1.5
RELEASE_LIMIT = 0.75
TRUST_LIMIT = 12.0
Z_CLIP = 20.0
ADWIN_DELTA = 1e-4
WARM_UP_FRAMES = 20


class Trust(StrEnum):
    """How far the scene may still be judged by this version."""

    STABLE = "stable"
    DRIFTING = "drifting"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True)
class DriftState:
    """What the monitor believes after a frame.

    `causes` maps each drifting signal to the time (Unix, ms) since which it drifts; `deviation` holds every
    signal's smoothed distance from the reference in spreads; `log_ratio` is the exposure estimate that the
    next frame will be compensated with.
    """

    trust: Trust
    causes: dict[str, int]
    deviation: dict[str, float]
    log_ratio: float


CALM = DriftState(Trust.STABLE, {}, dict.fromkeys(SIGNALS, 0.0), 0.0)


class Monitor:
    """Watches inputs, never scores, against one fixed reference; holds a cause until it has passed.

    Two watchers a signal: an exponentially weighted chart around the reference (Roberts, "Control chart
    tests based on geometric moving averages", 1959), which cannot lose a slow ramp, and river's ADWIN
    (Bifet and Gavaldà 2007), whose `drift_detected` lasts one update only and is therefore latched here. A
    cause is released when its chart is back within `RELEASE_LIMIT`. Exposure that compensation follows is
    judged by what compensation leaves over. Trust is lost by image signals only: a new material can be
    learned, what the camera no longer shows cannot.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.exposure = Exposure()
        self._adwins: dict[str, Any] = {
            name: detectors.ADWIN(delta=ADWIN_DELTA)  # type: ignore[no-untyped-call]  # river has no types
            for name in SIGNALS
        }
        self._chart = np.zeros(len(SIGNALS))
        self._causes: dict[str, int] = {}
        self._frames = 0

    def update(self, signals: Signals, at_ms: int) -> DriftState:
        """Take in the signals of a frame seen at `at_ms` and say what is believed now.

        Deterministic: the same sequence of signals gives the same states, bit for bit.
        """
        residual = signals.log_ratio - self.exposure.log_ratio
        self.exposure = self.exposure.updated(signals.log_ratio)
        self._frames += 1
        seen = np.concatenate([[residual / self.reference.spread[0]], signals.z[1:]])
        seen = np.clip(seen, -Z_CLIP, Z_CLIP)
        self._chart = self._chart + CHART_RATE * (seen - self._chart)
        for name, z, level in zip(SIGNALS, seen.tolist(), self._chart.tolist(), strict=True):
            fired = self._fired(name, z)
            if self._frames < WARM_UP_FRAMES:
                continue
            if fired or abs(level) > CHART_LIMIT:
                self._causes.setdefault(name, at_ms)
            elif abs(level) < RELEASE_LIMIT:
                self._causes.pop(name, None)
        return self.state()

    def rewarm(self, past: Iterable[tuple[Signals, int]], log_ratio: float) -> int:
        """After a restart: run recorded (signals, time in ms) through a fresh monitor, then set the exposure.

        `log_ratio` is the estimate recorded with the last frame, so frames score as if nothing had stopped,
        however much of the past is given. Returns how many frames there were.
        """
        count = 0
        for signals, at_ms in past:
            self.update(signals, at_ms)
            count += 1
        self.exposure = Exposure(log_ratio)
        return count

    def state(self) -> DriftState:
        """What is believed now, without a new frame."""
        levels = np.abs(self._chart[: len(IMAGE_SIGNALS)])
        calm = Trust.DRIFTING if self._causes else Trust.STABLE
        return DriftState(
            trust=Trust.UNTRUSTED if levels.max() > TRUST_LIMIT else calm,
            causes=dict(self._causes),
            deviation={n: round(v, 3) for n, v in zip(SIGNALS, self._chart.tolist(), strict=True)},
            log_ratio=self.exposure.log_ratio,
        )

    def _fired(self, name: str, z: float) -> bool:
        adwin = self._adwins[name]
        adwin.update(z)
        return bool(adwin.drift_detected)
