"""What judges a frame, and what comes of it on the way to its verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daemon.inference.backend import Scorer
from drift.light import LightEstimate
from drift.monitor import DriftState, Monitor
from drift.reference import Signals
from drift.regimes import Regime
from memory.bank import Score
from memory.features import Features, Image
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
    """What scoring found, before a verdict; `image` is what the backbone saw, light divided out."""

    image: Image
    score: Score
    features: Features
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


def nearest_good_patch(score: Score, active: Active) -> dict[str, object]:
    """Where the image is most anomalous, (row, column) of its grid, and the good patch that lies nearest there."""
    bank, worst = active.model.snapshot.bank, int(score.map.argmax())
    row = int(score.nearest[worst])
    return {
        "at": [int(i) for i in np.unravel_index(worst, score.map.shape)],
        "sample": bank.provenance(row),
        "place": int(bank.patch_index[row]),
    }
