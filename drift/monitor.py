"""The drift monitor: whether the scene has changed, by which cause, since when and by how much."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from drift.alarms import CALM_FRAMES, Z_CLIP, Alarms, Frames, nearest
from drift.causes import COMPENSATED, Cause, amount, likely_cause
from drift.chart import BURST_FRAMES
from drift.light import LightEstimate
from drift.light_tracker import LightTracker
from drift.reference import Reference, Signals
from drift.regimes import TAUGHT, Regime
from drift.river_detectors import ADWIN, RiverDetectors
from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Vector

DEVIATION_RATE = 0.05
TRUST_LIMIT, TRUST_RETURN = 12.0, 8.0
_CAUSE_OF_LIGHT = {name: (Cause.LIGHT if name == "exposure" else Cause.COLOUR) for name in LIGHT}


class Trust(StrEnum):
    """The degree to which a version can be trusted to judge the scene."""

    STABLE = "stable"
    COMPENSATING = "compensating"
    DRIFTING = "drifting"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True)
class Change:
    """A change of the scene: its cause, since when (Unix, ms), its amount in plain units against the taught parts
    ("light +18 %"), and how many `spreads` its most deviating signal lies from what is normal.
    """

    cause: Cause
    since_ms: int
    amount: str
    spreads: float


@dataclass(frozen=True)
class DriftState:
    """The state of drift after a frame.

    `deviation` holds every signal's smoothed distance from what is normal in spreads, of light what compensation leaves
    over; `log_ratio` is the logarithm of how much brighter the scene is than the taught parts, as the next frame is
    compensated. `known` is the regime that the scene is compared with, `regime` the one that the frame belongs to: the
    same, or while anything has changed a new one, by the number of the frame with which that began. `over` are changes
    that ended with this frame, at their largest, and `noticed` those first noticed in it that stay within what is
    normal.
    """

    trust: Trust
    changes: tuple[Change, ...]
    deviation: dict[str, float]
    log_ratio: float
    known: int = TAUGHT
    regime: int = TAUGHT
    over: tuple[Change, ...] = ()
    noticed: tuple[Change, ...] = ()


@dataclass(frozen=True)
class MeasuredFrame:
    """The input of the monitor: a frame's `signals`, its rising `number`, when it was seen (Unix, ms), and whether it
    was `flagged` as anomalous.
    """

    signals: Signals
    number: int
    at_ms: int
    flagged: bool


CALM = DriftState(Trust.STABLE, (), dict.fromkeys(SIGNALS, 0.0), 0.0)


class Monitor:
    """Detects drift of inputs, never of scores, against fixed references, and reports each change until it is over.

    Charts with a stated run length raise alarms and end them (drift/alarms.py); a change is then put down to a cause
    (drift/causes.py). river's ADWIN notices what stays within the charts' margin. Light is tracked
    (drift/light_tracker.py) and charted by what compensation leaves over. Trust is lost by light and camera only: a new
    material can be learned, what the camera no longer shows cannot.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.state = CALM
        self.rewarmed_frames = 0
        lights = len(LIGHT)
        self._light_tracker = LightTracker(reference.light, reference.spread[:lights], reference.limits[:lights])
        self._alarms = Alarms(reference)
        self._detectors = RiverDetectors("ADWIN", **ADWIN)
        self._deviation = np.zeros(len(SIGNALS))
        self._changes: dict[Cause, Change] = {}
        self._farthest: dict[Cause, Change] = {}
        self._began: dict[Cause, int] = {}
        self._away = TAUGHT

    @property
    def light(self) -> LightEstimate:
        """The light as estimated now."""
        return self._light_tracker.light

    @property
    def gain(self) -> Vector:
        """The logarithm by channel (3,) that the next frame is compensated with."""
        return self.light.gain(self.reference.light)

    def light_at(self, at_ms: int, levels: Callable[[], Vector]) -> LightEstimate:
        """The light for a frame seen `at_ms` (Unix, ms): in a start its own `levels` (3,) tell of it too."""
        tracker = self._light_tracker
        return tracker.light_with(levels(), at_ms) if tracker.starting(at_ms) else tracker.light

    def light_after(self, seen: Vector, at_ms: int) -> LightTracker:
        """The light's tracker as it will be after a frame, by `LightTracker.after`."""
        return self._light_tracker.after(seen, at_ms)

    def update(self, frame: MeasuredFrame, regimes: Sequence[Regime] = ()) -> DriftState:
        """Take in a frame, with the `regimes` that are known by now, and return the new state.

        Deterministic: the same sequence of arguments gives the same states, bit for bit. Times change nothing but the
        `since_ms` of changes, and that after a pause the light is taken from the next frames.
        """
        z = frame.signals.z(self.reference)
        left = self._light_tracker.update(frame.signals.light, frame.at_ms, flagged=frame.flagged)
        known, alarms_changed = self._alarms.regime.name, self._alarms.update(z, frame.number, frame.at_ms, regimes)
        over = self._explain() if alarms_changed else ()
        regime = self._alarms.regime
        if regime.name == known:
            seen = np.clip(np.concatenate([left, nearest(regime.apart(z))[len(LIGHT) :]]), -Z_CLIP, Z_CLIP)
            self._deviation = self._deviation + DEVIATION_RATE * (seen - self._deviation)
        else:
            self._deviation[len(LIGHT) :] = self._alarms.newest()[len(LIGHT) :]
            self._detectors = RiverDetectors("ADWIN", **ADWIN)
        noticed = self._noticed(self._detectors.update(nearest(regime.apart(z))) & ~self._alarms.high & (z[0] == z[1]))
        self.state = DriftState(
            trust=self._trust(),
            changes=tuple(self._changes.values()),
            deviation={n: round(v, 3) for n, v in zip(SIGNALS, self._deviation.tolist(), strict=True)},
            log_ratio=float(self.gain.mean()),
            known=regime.name,
            regime=self._away if self._changes else regime.name,
            over=over,
            noticed=noticed,
        )
        return self.state

    def rewarm(
        self, past: Iterable[tuple[MeasuredFrame, Sequence[Regime]]], light: LightEstimate, away: int | None = None
    ) -> None:
        """Restore a fresh monitor after a restart: take in recorded frames, each with the regimes known by then, then
        set what was recorded with the last one.

        That is the estimate of the `light`, so that frames score as if nothing had stopped, however much of the past is
        replayed; and the name of the regime that the line is `away` in, where it is not a known one.
        """
        for frame, regimes in past:
            self.update(frame, regimes)
            self.rewarmed_frames += 1
        self._light_tracker.light = light
        if self._changes and away is not None:
            self._away = away
            self.state = replace(self.state, regime=away)

    def _explain(self) -> tuple[Change, ...]:
        """Find and measure anew the causes of what is high. Returns the changes that are over, at their largest."""
        before, self._changes = self._changes, self._explained()
        if self._changes and not before:
            self._away = min(self._began[cause] for cause in self._changes)
        for cause, change in self._changes.items():
            if change.spreads >= self._farthest.get(cause, change).spreads:
                self._farthest[cause] = change
        return tuple(self._farthest.pop(cause) for cause in before if cause not in self._changes)

    def _explained(self) -> dict[Cause, Change]:
        """The causes of what is high: light and colour by charts of their own, and one cause for all the rest."""
        high = {name for name, is_high in zip(SIGNALS, self._alarms.high.tolist(), strict=True) if is_high}
        causes = dict.fromkeys(_CAUSE_OF_LIGHT[name] for name in LIGHT if name in high)
        beyond_light = [name for name in (*CAMERA, *MATERIAL) if name in high]
        if beyond_light:
            before = [c for c in self._changes if c not in COMPENSATED]
            cause = self._likely_cause(self._alarms.since(beyond_light), {*causes, *before})
            if cause is Cause.MATERIAL and not high & set(MATERIAL):
                causes |= dict.fromkeys(
                    before
                )  # ten defects look like a new material until its own chart raises an alarm
            elif cause not in COMPENSATED or not causes:
                causes[cause] = None
        return {cause: self._change(cause, high) for cause in causes}

    def _likely_cause(self, frames: Frames, known: Collection[Cause]) -> Cause:
        """The cause of what remembered frames (n,) show, where some causes are `known` to be at work."""
        return likely_cause(self._alarms.mean(frames), len(frames), self.reference.marks, known)

    def _change(self, cause: Cause, high: Collection[str]) -> Change:
        signals = [
            name
            for name in SIGNALS
            if name in high and (_CAUSE_OF_LIGHT[name] is cause if name in LIGHT else cause not in COMPENSATED)
        ]
        since = self._alarms.since(signals or high)
        before = self._changes.get(cause)
        if before is None:
            self._began[cause] = self._alarms.number(since[0])
        return self._measured(cause, before.since_ms if before else self._alarms.time_ms(since[0]), since, signals)

    def _measured(self, cause: Cause, since_ms: int, since: Frames, signals: Sequence[str]) -> Change:
        """A change, measured by the newest of the remembered frames `since` (n,)."""
        regime, moved = self._alarms.regime, self._alarms.mean(since[-CALM_FRAMES:])
        spreads = max((abs(float(moved[SIGNALS.index(name)])) for name in signals), default=0.0)
        taught = regime.offset + regime.scale * moved
        return Change(cause, since_ms, amount(cause, taught, self.reference.spread), round(spreads, 2))

    def _noticed(self, changed: npt.NDArray[np.bool_]) -> tuple[Change, ...]:
        """The change that ADWIN saw in the signals `changed` (S,), since the frame that it most likely began with; one
        that only the material shows is not reported before it has outlasted a burst.
        """
        names = [name for name, has_changed in zip(SIGNALS, changed.tolist(), strict=True) if has_changed]
        if not names:
            return ()
        since = self._alarms.since(names)
        if set(names) <= set(MATERIAL) and len(since) <= BURST_FRAMES:
            return ()
        cause = self._likely_cause(since, ()) if set(names) - set(LIGHT) else _CAUSE_OF_LIGHT[names[0]]
        return (self._measured(cause, self._alarms.time_ms(since[0]), since, names),)

    def _trust(self) -> Trust:
        far = float(np.abs(self._deviation[: len(LIGHT) + len(CAMERA)]).max())
        if far > (TRUST_RETURN if self.state.trust is Trust.UNTRUSTED else TRUST_LIMIT):
            return Trust.UNTRUSTED
        if not self._changes:
            return Trust.STABLE
        return Trust.COMPENSATING if set(self._changes) <= set(COMPENSATED) else Trust.DRIFTING
