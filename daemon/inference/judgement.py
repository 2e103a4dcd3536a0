"""The active version, and a frame's score and judgement by it."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.inference.backend import Scorer
from drift.light import LightEstimate
from drift.monitor import DriftState, Monitor
from drift.reference import Signals
from drift.regimes import Regime
from memory.canvas import Canvas
from memory.detector import Score
from memory.features import Image, View
from memory.version import Model
from policies.threshold import Threshold
from policies.verdict import Decision


@dataclass(frozen=True)
class Active:
    """The version that judges now, with its canvas, scorer and monitor. It is replaced as a whole; only the monitor
    changes, in the judging thread."""

    model: Model
    canvas: Canvas
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
    """A scored image before its verdict: the detector's `view`, the `image` with its light divided out, score and
    signals."""

    view: View
    image: Image
    score: Score
    signals: Signals


@dataclass(frozen=True)
class Judgement:
    """The judgement of a frame. `scored` is None where it could not be scored.

    `light` and `believed` are the monitor's estimate and state before the frame, None and calm where no version is
    active; `drift` is the monitor's state after it, None where the frame did not move it.
    """

    decision: Decision
    scored: Scored | None
    threshold: float | None
    light: LightEstimate | None
    believed: DriftState
    drift: DriftState | None
