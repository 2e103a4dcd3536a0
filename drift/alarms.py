"""Alarms of all signals against what is normal in the known regime, with their beginnings and ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from drift.chart import CLIP, Evidence, accumulate, alarming, calm, evidence, onset, restarted
from drift.reference import Reference
from drift.regimes import Regime
from drift.signals import SIGNALS, Vector

Z_CLIP = 20.0
REMEMBERED_FRAMES = 512
CHECK_FRAMES = 16  # how often it is checked whether alarms are over; by frame number, so that a restart changes nothing
CALM_FRAMES = 32  # the fewest calm frames that end an alarm; or twice as many as it took to raise it

Frames = npt.NDArray[np.int64]


class Alarms:
    """Charts (drift/chart.py) of all signals, whose alarms last until restarted charts show little.

    `high` (S,) marks the signals with an alarm; `regime` is what they are charted against. It changes to another regime
    (drift/regimes.py) against which every signal is calm: a condition that has returned.
    """

    def __init__(self, reference: Reference) -> None:
        self.regime = Regime.taught(reference)
        self.high = np.zeros(len(SIGNALS), dtype=bool)
        self._sums = np.zeros_like(reference.limits)
        self._wait = np.zeros(len(SIGNALS), dtype=np.int64)  # calm frames that end a signal's alarm
        self._raised = np.zeros(len(SIGNALS), dtype=np.int64)  # the frame that raised the alarm
        self._chart_start = np.zeros(len(SIGNALS), dtype=np.int64)  # the frame that the signal's chart began with
        self._recent = np.zeros((2, REMEMBERED_FRAMES, len(SIGNALS)))
        self._numbers = np.zeros(REMEMBERED_FRAMES, dtype=np.int64)
        self._times = np.zeros(REMEMBERED_FRAMES, dtype=np.int64)
        self._frames = 0

    def update(self, z: Vector, number: int, at_ms: int, regimes: Sequence[Regime]) -> bool:
        """Take in the signals of frame `number`, seen at `at_ms`: from where to where they lie, z (2, S), in taught
        spreads from the taught mean. `regimes` are those known by now. Returns whether changes are to be explained
        anew: an alarm is new, or it was checked which are over.
        """
        self.regime = next((r for r in regimes if r.name == self.regime.name), self.regime)
        self._recent[:, self._frames % REMEMBERED_FRAMES] = z
        before = self.number(self._frames % REMEMBERED_FRAMES - 1)
        self._numbers[self._frames % REMEMBERED_FRAMES] = number
        self._times[self._frames % REMEMBERED_FRAMES] = at_ms
        self._frames += 1
        self._sums = accumulate(self._sums, evidence(self.regime.apart(z), self.regime.limits))
        new = np.flatnonzero(alarming(self._sums) & ~self.high).tolist()
        if new:
            self._raise(new)
        asked = bool(self.high.any()) and number // CHECK_FRAMES > before // CHECK_FRAMES
        if asked:
            self._end_alarms(regimes)
        return asked or bool(new)

    def since(self, names: Collection[str]) -> Frames:
        """The remembered frames (n,) since the first change of the signals `names`, oldest first."""
        log_evidence = self._evidence()
        return self._order()[min(self._onset(SIGNALS.index(name), log_evidence) for name in names) :]

    def mean(self, frames: Frames) -> Vector:
        """The mean signals (S,) of remembered frames (n,), in spreads from what is normal in the regime; where they are
        known as a range only, its value nearest to 0.
        """
        return nearest(np.clip(self.regime.apart(self._recent[:, frames]), -Z_CLIP, Z_CLIP).mean(axis=1))

    def number(self, frame: int) -> int:
        """The number of a remembered frame."""
        return int(self._numbers[frame])

    def time_ms(self, frame: int) -> int:
        """The time when a remembered frame was seen (Unix, ms)."""
        return int(self._times[frame])

    def newest(self) -> Vector:
        """The mean signals (S,) of the newest `CALM_FRAMES`, in spreads."""
        return self.mean(self._order()[-CALM_FRAMES:])

    def _evidence(self) -> Evidence:
        """The evidence of the remembered frames against the regime (n, S, 2, T), oldest first."""
        return evidence(self.regime.apart(self._recent[:, self._order()]), self.regime.limits)

    def _onset(self, signal: int, log_evidence: Evidence) -> int:
        """Which of the remembered frames, with this evidence, the change of a signal began with."""
        # No frame from before the signal's chart counts.
        unseen = max(int(self._chart_start[signal]) - (self._frames - len(log_evidence)), 0)
        return unseen + onset(log_evidence[unseen:, signal], self._sums[signal])

    def _order(self) -> Frames:
        return np.arange(max(self._frames - REMEMBERED_FRAMES, 0), self._frames) % REMEMBERED_FRAMES

    def _raise(self, signals: Sequence[int]) -> None:
        """Raise the alarms of some signals, each until it has been calm for twice as long as the change took to be
        seen.

        One that is raised late, and so would take long to end, waits no longer than the clearest of those that are
        high.
        """
        log_evidence = self._evidence()
        for signal in signals:
            took = len(log_evidence) - self._onset(signal, log_evidence)
            clearest = int(self._wait[self.high].min(initial=REMEMBERED_FRAMES))
            self.high[signal], self._raised[signal] = True, self._frames
            self._wait[signal] = min(max(2 * took, CALM_FRAMES), clearest)

    def _end_alarms(self, regimes: Sequence[Regime]) -> None:
        """End the alarms of signals whose restarted charts show little; and all alarms, where against this regime or
        another one they show little and no other chart raises an alarm.
        """
        recent, since = self._recent[:, self._order()], self._frames - self._raised
        fresh = restarted(self._evidence(), self._wait)
        over = self.high & (since >= self._wait) & calm(fresh)
        self.high = self.high & ~over
        self._sums[over], self._chart_start[over] = fresh[over], (self._frames - self._wait)[over]
        clearest = int(np.where(self.high, self._wait, REMEMBERED_FRAMES + 1).argmin())
        if not self.high.any() or since[clearest] < self._wait[clearest]:
            return
        wait = np.full(len(SIGNALS), self._wait[clearest])
        candidates = [self.regime, *(r for r in regimes if r.name != self.regime.name)]
        charts = [(restarted(evidence(r.apart(recent), r.limits), wait), r) for r in candidates]
        calm_enough = [np.where(self.high, calm(sums), ~alarming(sums)).all() for sums, _ in charts]
        fitting = [(float(charts[i][0].sum()), i) for i in np.flatnonzero(calm_enough).tolist()]
        if fitting:
            self._sums, self.regime = charts[min(fitting)[1]]
            self.high, self._chart_start = np.zeros_like(self.high), self._frames - wait


def nearest(z: Vector) -> Vector:
    """The value nearest to 0 (S,) in each range from z[0] to z[1], (2, S)."""
    near: Vector = np.clip(0.0, z[0], z[1])
    return near


assert CLIP <= Z_CLIP  # noqa: S101  # clipping what is remembered loses no evidence
