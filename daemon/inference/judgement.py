"""What judges a frame, and what comes of it on the way to its verdict."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.inference.backend import Scorer
from drift.light import LightEstimate
from drift.monitor import DriftState, Monitor
from drift.reference import Signals
from drift.regimes import Regime
from memory.detector import Score
from memory.features import Image, View
from memory.version import Model
from policies.threshold import Threshold
from policies.verdict import Decision


@dataclass(frozen=True)
class Active:
    """What judges now: replaced whole, never changed, except for the monitor, which only the scorer touches."""

    model: Model
    scorer: Scorer
    monitor: Monitor
    regimes: tuple[Regime, ...]

    @property
    def threshold(self) -> Threshold:
        """The threshold of all parts together."""
        return self.scorer.threshold

    @property
    def current_threshold(self) -> Threshold:
        """The threshold of the regime that the next frame is seen in."""
        return self.threshold.for_regime(self.monitor.state.regime)


@dataclass(frozen=True)
class Scored:
    """What scoring found, before a verdict; `view` is what the detector saw, and `image` of it, light divided out."""

    view: View
    image: Image
    score: Score
    signals: Signals


@dataclass(frozen=True)
class Judgement:
    """What became of a frame. `scored` is None where the decision is that it could not be.

    `light` and `believed` are the monitor's as they were before the frame, None and calm where nothing is active;
    `drift` is the monitor's state after it, None where the frame did not move it.
    """

    decision: Decision
    scored: Scored | None
    threshold: float | None
    light: LightEstimate | None
    believed: DriftState
    drift: DriftState | None
