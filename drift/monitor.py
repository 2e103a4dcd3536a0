"""Has the scene changed, what, since when and by how much: one frame's signals in, what is believed now out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from drift.alarms import CALM_FRAMES, Z_CLIP, Alarms, Frames, nearest
from drift.causes import COMPENSATED, amount, named
from drift.chart import BURST_FRAMES
from drift.light import LightEstimate
from drift.light_tracker import LightTracker
from drift.reference import Reference, Signals
from drift.regimes import TAUGHT, Regime
from drift.river_detectors import ADWIN, RiverDetectors
from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Vector

LEVEL_RATE = 0.05
TRUST_LIMIT, TRUST_RETURN = 12.0, 8.0
_NAMED = {name: ("light" if name == "exposure" else "colour") for name in LIGHT}


class Trust(StrEnum):
    """How far the scene may still be judged by this version."""

    STABLE = "stable"
    COMPENSATING = "compensating"
    DRIFTING = "drifting"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True)
class Change:
    """What has changed, since when (Unix, ms), and by how much: in plain units against the taught parts ("light
    +18 %"), and how many `spreads` the signal that tells most lies from what is normal.
    """

    cause: str
    since_ms: int
    amount: str
    spreads: float


@dataclass(frozen=True)
class DriftState:
    """What the monitor believes after a frame.

    `deviation` holds every signal's smoothed distance from what is normal in spreads, of light what compensation leaves
    over; `log_ratio` is the logarithm of how much brighter the scene is than the taught parts, as the next frame is
    compensated. `known` is the regime whose reference judges the scene, `regime` the one that the frame belongs to: the
    same, or while anything has changed a new one, by the number of the frame with which that began. News of this frame
    are changes that are `over`, as far as they had gone, and those `noticed` that stay within what is normal.
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
    """A frame's `signals`, its `number`, which rises from frame to frame, when it was seen (Unix, ms), and whether it
    was `flagged` as anomalous.
    """

    signals: Signals
    number: int
    at_ms: int
    flagged: bool


CALM = DriftState(Trust.STABLE, (), dict.fromkeys(SIGNALS, 0.0), 0.0)


class Monitor:
    """Watches inputs, never scores, against fixed references; holds a cause until it has passed.

    Charts with a stated run length raise alarms and end them (drift/alarms.py); a change is then named by its marks
    (drift/causes.py). river's ADWIN notices what stays within the charts' margin. Light is followed
    (drift/light_tracker.py) and judged by what compensation leaves over. Trust is lost by light and camera only: a new
    material can be learned, what the camera no longer shows cannot.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.state = CALM
        self.rewarmed_frames = 0
        few = len(LIGHT)
        self._light_tracker = LightTracker(reference.light, reference.spread[:few], reference.limits[:few])
        self._alarms = Alarms(reference)
        self._detectors = RiverDetectors("ADWIN", **ADWIN)
        self._level = np.zeros(len(SIGNALS))
        self._changes: dict[str, Change] = {}
        self._farthest: dict[str, Change] = {}
        self._began: dict[str, int] = {}
        self._away = TAUGHT

    @property
    def light(self) -> LightEstimate:
        """The light as believed now."""
        return self._light_tracker.light

    @property
    def gain(self) -> Vector:
        """The logarithm by channel (3,) that the next frame is compensated with."""
        return self.light.gain(self.reference.light)

    def update(self, frame: MeasuredFrame, regimes: Sequence[Regime] = ()) -> DriftState:
        """Take in a frame, and the `regimes` that are known by now.

        Deterministic: the same sequence of arguments gives the same states, bit for bit. Of times nothing depends but
        the `since_ms` of changes.
        """
        z = frame.signals.z(self.reference)
        left = self._light_tracker.update(frame.signals.light, flagged=frame.flagged)
        known, look = self._alarms.regime.name, self._alarms.update(z, frame.number, frame.at_ms, regimes)
        over = self._explain() if look else ()
        regime = self._alarms.regime
        if regime.name == known:
            seen = np.clip(np.concatenate([left, nearest(regime.apart(z))[len(LIGHT) :]]), -Z_CLIP, Z_CLIP)
            self._level = self._level + LEVEL_RATE * (seen - self._level)
        else:
            self._level[len(LIGHT) :] = self._alarms.newest()[len(LIGHT) :]
            self._detectors = RiverDetectors("ADWIN", **ADWIN)
        noticed = self._news(self._detectors.update(nearest(regime.apart(z))) & ~self._alarms.high & (z[0] == z[1]))
        self.state = DriftState(
            trust=self._trust(),
            changes=tuple(self._changes.values()),
            deviation={n: round(v, 3) for n, v in zip(SIGNALS, self._level.tolist(), strict=True)},
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
        """After a restart: run recorded frames, each with the regimes known by then, through a fresh monitor, then set
        what was recorded with the last one.

        That is the estimate of the `light`, so frames score as if nothing had stopped, however much of the past is
        given, and the regime that the line is `away` in, if it is not known yet, which keeps its name.
        """
        for frame, regimes in past:
            self.update(frame, regimes)
            self.rewarmed_frames += 1
        self._light_tracker.light = light
        if self._changes and away is not None:
            self._away = away
            self.state = replace(self.state, regime=away)

    def _explain(self) -> tuple[Change, ...]:
        """Name and measure anew what is high; which changes are over, as far as they had gone."""
        before, self._changes = self._changes, self._explained()
        if self._changes and not before:
            self._away = min(self._began[cause] for cause in self._changes)
        for cause, change in self._changes.items():
            if change.spreads >= self._farthest.get(cause, change).spreads:
                self._farthest[cause] = change
        return tuple(self._farthest.pop(cause) for cause in before if cause not in self._changes)

    def _explained(self) -> dict[str, Change]:
        """The causes of what is high: light and colour by charts of their own, one cause of all the rest."""
        high = {name for name, is_high in zip(SIGNALS, self._alarms.high.tolist(), strict=True) if is_high}
        causes = dict.fromkeys(_NAMED[name] for name in LIGHT if name in high)
        shown = [name for name in (*CAMERA, *MATERIAL) if name in high]
        if shown:
            held = [c for c in self._changes if c not in COMPENSATED]
            cause = self._named(self._alarms.since(shown), {*causes, *held})
            if cause == "material" and not high & set(MATERIAL):
                causes |= dict.fromkeys(held)  # ten defects look like a new material until its own chart says so
            elif cause not in COMPENSATED or not causes:
                causes[cause] = None
        return {cause: self._change(cause, high) for cause in causes}

    def _named(self, frames: Frames, known: Collection[str]) -> str:
        """What remembered frames (n,) show a change of, where some changes are `known`."""
        return named(self._alarms.mean(frames), len(frames), self.reference.marks, known)

    def _change(self, cause: str, high: Collection[str]) -> Change:
        signals = [n for n in SIGNALS if n in high and (_NAMED[n] == cause if n in LIGHT else cause not in COMPENSATED)]
        since = self._alarms.since(signals or high)
        before = self._changes.get(cause)
        if before is None:
            self._began[cause] = self._alarms.number(since[0])
        return self._measured(cause, before.since_ms if before else self._alarms.time_ms(since[0]), since, signals)

    def _measured(self, cause: str, since_ms: int, since: Frames, signals: Sequence[str]) -> Change:
        """A change as the newest of the remembered frames `since` (n,) show it."""
        regime, moved = self._alarms.regime, self._alarms.mean(since[-CALM_FRAMES:])
        spreads = max((abs(float(moved[SIGNALS.index(name)])) for name in signals), default=0.0)
        taught = regime.offset + regime.scale * moved
        return Change(cause, since_ms, amount(cause, taught, self.reference.spread), round(spreads, 2))

    def _news(self, noticed: npt.NDArray[np.bool_]) -> tuple[Change, ...]:
        """What ADWIN saw in some signals (S,), since the frames that it most likely began with; what only the material
        shows is no news before it has outlasted a burst.
        """
        names = [name for name, changed in zip(SIGNALS, noticed.tolist(), strict=True) if changed]
        if not names:
            return ()
        since = self._alarms.since(names)
        if set(names) <= set(MATERIAL) and len(since) <= BURST_FRAMES:
            return ()
        cause = self._named(since, ()) if set(names) - set(LIGHT) else _NAMED[names[0]]
        return (self._measured(cause, self._alarms.time_ms(since[0]), since, names),)

    def _trust(self) -> Trust:
        far = float(np.abs(self._level[: len(LIGHT) + len(CAMERA)]).max())
        if far > (TRUST_RETURN if self.state.trust is Trust.UNTRUSTED else TRUST_LIMIT):
            return Trust.UNTRUSTED
        if not self._changes:
            return Trust.STABLE
        return Trust.COMPENSATING if set(self._changes) <= set(COMPENSATED) else Trust.DRIFTING
