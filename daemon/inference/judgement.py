"""The active version, and a frame's score and judgement by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.inference.backend import Scorer
from daemon.inference.sight import Sight
from daemon.intake.positioning import as_it_lay, cell_as_it_lay, placement_record
from drift.light import LightEstimate
from drift.monitor import DriftState, Monitor
from drift.placement import Placement
from drift.reference import Signals
from drift.regimes import Regime
from memory.detector import Score
from memory.features import Image, Map, View
from memory.version import Model
from policies.threshold import Threshold
from policies.verdict import Decision


@dataclass(frozen=True)
class Active:
    """The version that judges now, with how it sees images, its scorer and monitor. It is replaced as a whole; only the
    monitor changes, in the judging thread."""

    model: Model
    sight: Sight
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
    """A scored image before its verdict: the detector's `view` with patches of `stride_px`, the `image` with its
    `light` divided out, score and signals, and how the part lay, where it was placed."""

    view: View
    image: Image
    light: LightEstimate
    score: Score
    signals: Signals
    placement: Placement | None
    stride_px: int

    @property
    def anomaly(self) -> Map:
        """The anomaly map (rows, columns) over the image as the camera saw it."""
        return as_it_lay(self.score.map, self.placement, self.stride_px)

    @property
    def evidence(self) -> Mapping[str, Any] | None:
        """The evidence of its score, with the cell `at` where the camera saw it, and how its part lay; None without
        either."""
        if self.placement is None:
            return self.score.evidence or None
        at = self.score.evidence.get("at")
        lay = {} if at is None else {"at": cell_as_it_lay(at, self.score.map.shape, self.placement, self.stride_px)}
        return {**self.score.evidence, **lay, "placement": placement_record(self.placement, self.image.shape)}


@dataclass(frozen=True)
class Seen:
    """A judged frame seen again: its view, and how its part lay, where it was placed."""

    view: View
    placement: Placement | None


@dataclass(frozen=True)
class Judgement:
    """The judgement of a frame. `scored` is None where it could not be scored.

    `light` is what it was compensated for and `believed` the monitor's state before it, None and calm where no version
    is active; `drift` is the monitor's state after it, None where the frame did not move it.
    """

    decision: Decision
    scored: Scored | None
    threshold: float | None
    light: LightEstimate | None
    believed: DriftState
    drift: DriftState | None
