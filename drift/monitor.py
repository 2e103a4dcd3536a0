"""Has the scene changed, what, since when and by how much: one frame's signals in, what is believed now out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from drift.causes import COMPENSATED, amount, named
from drift.chart import BURST_FRAMES, CLIP, accumulate, alarming, evidence, onset, passed
from drift.light import Light
from drift.reference import Reference, Signals
from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Vector
from drift.watch import ADWIN, Watch

LEVEL_RATE = 0.05
Z_CLIP = 20.0
TRUST_LIMIT, TRUST_RETURN = 12.0, 8.0
REMEMBERED_FRAMES = 512
STEP_FRAMES = 64
EXPLAINED_FRAMES = 16  # a change is measured anew so often, and whenever another signal joins in or falls out
_NAMED = {name: ("light" if name == "exposure" else "colour") for name in LIGHT}


class Trust(StrEnum):
    """How far the scene may still be judged by this version."""

    STABLE = "stable"
    COMPENSATING = "compensating"
    DRIFTING = "drifting"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True)
class Change:
    """What has changed, since when (Unix, ms), and by how much, in plain units: "light +18 %"."""

    cause: str
    since_ms: int
    amount: str


@dataclass(frozen=True)
class DriftState:
    """What the monitor believes after a frame.

    `deviation` holds every signal's smoothed distance from the reference in spreads, of light what compensation
    leaves over; `log_ratio` is the logarithm of how much brighter the scene is, as the next frame is compensated.
    `noticed` are changes that this frame brought to light and that stay within what the taught parts allow: news, not a
    state.
    """

    trust: Trust
    changes: tuple[Change, ...]
    deviation: dict[str, float]
    log_ratio: float
    noticed: tuple[Change, ...] = ()


CALM = DriftState(Trust.STABLE, (), dict.fromkeys(SIGNALS, 0.0), 0.0)


class Monitor:
    """Watches inputs, never scores, against one fixed reference; holds a cause until it has passed.

    Charts with a stated run length raise alarms (drift/chart.py); a change is then named by its marks
    (drift/causes.py). river's ADWIN notices what stays within the charts' margin. Light that compensation follows is
    judged by what compensation leaves over, and no light is followed while a burst of flagged parts passes: a defect
    may darken its whole part. Trust is lost by light and camera only: a new material can be learned, what the camera no
    longer shows cannot.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        red, green, blue = reference.light.tolist()
        self.light = Light((red, green, blue))
        self.state = CALM
        self.rewarmed_frames = 0
        self._watch = Watch("ADWIN", **ADWIN)
        self._sums = np.zeros_like(reference.limits)
        self._steps = np.zeros_like(reference.limits)
        self._stepped = 0
        self._high = np.zeros(len(SIGNALS), dtype=bool)
        self._level = np.zeros(len(SIGNALS))
        self._recent = np.zeros((REMEMBERED_FRAMES, len(SIGNALS)))
        self._lights = np.zeros((REMEMBERED_FRAMES, len(LIGHT)))
        self._times = np.zeros(REMEMBERED_FRAMES, dtype=np.int64)
        self._frames = 0
        self._flagged = 0
        self._changes: dict[str, Change] = {}

    @property
    def gain(self) -> Vector:
        """The logarithm by channel (3,) that the next frame is compensated with."""
        return self.light.gain(self.reference.light)

    def update(self, signals: Signals, at_ms: int, *, flagged: bool) -> DriftState:
        """Take in the signals of a frame seen at `at_ms`, and whether it was `flagged` as anomalous.

        Deterministic: the same sequence of arguments gives the same states, bit for bit.
        """
        reference = self.reference
        z = (signals.values - reference.mean) / reference.spread
        seen = np.concatenate([self._left(signals.light), z[len(LIGHT) :]])
        self._level = self._level + LEVEL_RATE * (np.clip(seen, -Z_CLIP, Z_CLIP) - self._level)
        self._flagged = self._flagged + 1 if flagged else 0
        self._recent[self._frames % REMEMBERED_FRAMES] = np.clip(z, -Z_CLIP, Z_CLIP)
        self._lights[self._frames % REMEMBERED_FRAMES] = signals.light
        self._times[self._frames % REMEMBERED_FRAMES] = at_ms
        self._frames += 1
        self._sums = accumulate(self._sums, evidence(z, reference.limits))
        before, self._high = self._high, alarming(self._sums) | (self._high & ~passed(self._sums))
        if (self._high != before).any() or self._frames % EXPLAINED_FRAMES == 0:
            self._changes = self._explained()
        if not 0 < self._flagged <= BURST_FRAMES:
            self._steps = accumulate(self._steps, evidence(seen, reference.limits))
            self.light = self._followed(signals.light)
        noticed = self._news(self._watch.update(z) & ~self._high)
        self.state = DriftState(
            trust=self._trust(),
            changes=tuple(self._changes.values()),
            deviation={n: round(v, 3) for n, v in zip(SIGNALS, self._level.tolist(), strict=True)},
            log_ratio=float(self.gain.mean()),
            noticed=noticed,
        )
        return self.state

    def rewarm(self, past: Iterable[tuple[Signals, int, bool]], light: Light) -> None:
        """After a restart: run recorded (signals, time in ms, flagged) through a fresh monitor, then set the light.

        `light` is the estimate recorded with the last frame, so frames score as if nothing had stopped, however much
        of the past is given.
        """
        for signals, at_ms, flagged in past:
            self.update(signals, at_ms, flagged=flagged)
            self.rewarmed_frames += 1
        self.light = light

    def _left(self, lights: Vector) -> Vector:
        """What compensation leaves of lights (..., 3), common and by colour, in spreads (..., 3)."""
        left = lights - np.array(self.light.levels)
        apart = [left.mean(axis=-1), left[..., 0] - left[..., 1], left[..., 2] - left[..., 1]]
        spreads: Vector = np.stack(apart, axis=-1) / self.reference.spread[: len(LIGHT)]
        return spreads

    def _followed(self, seen: Vector) -> Light:
        """The light after a frame: slowly, but where a chart of what compensation leaves over is sure of a step, at
        once, to the middle of what was seen since then.
        """
        sure = np.flatnonzero(alarming(self._steps)[: len(LIGHT)])
        if not len(sure):
            return self.light.updated(seen, self.reference.light)
        recent = self._lights[self._order()[-min(self._frames - self._stepped, STEP_FRAMES) :]]
        said = evidence(self._left(recent), self.reference.limits[: len(LIGHT)])  # (n, 3) -> (n, 3, 2, T)
        since = min(onset(said[:, at], self._steps[at]) for at in sure.tolist())
        self._steps, self._stepped = np.zeros_like(self._steps), self._frames
        return Light.within(np.median(recent[since:], axis=0), self.reference.light)

    def _order(self) -> npt.NDArray[np.int64]:
        """The places of the remembered frames, oldest first."""
        return np.arange(max(self._frames - REMEMBERED_FRAMES, 0), self._frames) % REMEMBERED_FRAMES

    def _explained(self) -> dict[str, Change]:
        """The causes of what is high: light and colour by charts of their own, one cause of all the rest."""
        high = {name for name, is_high in zip(SIGNALS, self._high.tolist(), strict=True) if is_high}
        causes = dict.fromkeys(_NAMED[name] for name in LIGHT if name in high)
        shown = [name for name in (*CAMERA, *MATERIAL) if name in high]
        if shown:
            rows = self._recent[self._since(shown)]
            cause = named(rows.mean(axis=0), len(rows), self.reference.marks, causes)
            held = [c for c in self._changes if c not in COMPENSATED]
            if cause == "material" and not high & set(MATERIAL):
                causes |= dict.fromkeys(held)  # ten defects look like a new material until its own chart says so
            elif cause not in COMPENSATED or not causes:
                causes[cause] = None
        return {cause: self._change(cause, high) for cause in causes}

    def _change(self, cause: str, high: set[str]) -> Change:
        signals = [n for n in SIGNALS if n in high and (_NAMED.get(n, "") == cause or cause not in COMPENSATED)]
        since = self._since(signals or sorted(high))
        known = self._changes.get(cause)
        moved = amount(cause, self._recent[since].mean(axis=0), self.reference.spread)
        return Change(cause, known.since_ms if known else int(self._times[since[0]]), moved)

    def _since(self, names: list[str]) -> npt.NDArray[np.int64]:
        """The remembered frames (n,) since the first of `names` changed, oldest first."""
        order = self._order()
        recent = self._recent[order]
        said = evidence(recent, self.reference.limits)  # (n, S) -> (n, S, 2, T)
        places = [SIGNALS.index(name) for name in names]
        return order[min(onset(said[:, at], self._sums[at]) for at in places) :]

    def _news(self, noticed: npt.NDArray[np.bool_]) -> tuple[Change, ...]:
        """What ADWIN saw in some signals (S,), since the frames that it most likely began with; what only the material
        shows is no news before it has outlasted a burst.
        """
        names = [name for name, changed in zip(SIGNALS, noticed.tolist(), strict=True) if changed]
        if not names:
            return ()
        since = self._since(names)
        if set(names) <= set(MATERIAL) and len(since) <= BURST_FRAMES:
            return ()
        moved = self._recent[since].mean(axis=0)
        shown = [name for name in names if name not in LIGHT]
        cause = named(moved, len(since), self.reference.marks, ()) if shown else _NAMED[names[0]]
        return (Change(cause, int(self._times[since[0]]), amount(cause, moved, self.reference.spread)),)

    def _trust(self) -> Trust:
        far = float(np.abs(self._level[: len(LIGHT) + len(CAMERA)]).max())
        if far > (TRUST_RETURN if self.state.trust is Trust.UNTRUSTED else TRUST_LIMIT):
            return Trust.UNTRUSTED
        if not self._changes:
            return Trust.STABLE
        return Trust.COMPENSATING if set(self._changes) <= set(COMPENSATED) else Trust.DRIFTING


assert CLIP <= Z_CLIP  # noqa: S101  # what is remembered says as much as what was seen
