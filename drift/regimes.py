"""Regimes: conditions of light, camera and material that return, each known by good parts confirmed in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drift.chart import Evidence, bound
from drift.reference import Reference
from drift.signals import Vector

TAUGHT = 0
ENOUGH_PARTS = 8
MOST_PARTS = 40  # a regime's reference stands still from then on
MOST_REGIMES = 8
FIRST_TIME_MS = 10**12  # from here on a name is no frame's number but a time (Unix, ms), as versions named regimes once

Parts = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Regime:
    """A known condition with charts of its own.

    `name`, for ever, is the number of the frame with which it first began, or the time of that (`FIRST_TIME_MS`); the
    taught parts' is `TAUGHT`. Its signals lie `offset` (S,) from the taught ones' mean and spread `scale` (S,) times as
    far, both in the taught spreads; `limits` (S, 2, T) of its charts.
    """

    name: int
    offset: Vector
    scale: Vector
    limits: Evidence

    @classmethod
    def taught(cls, reference: Reference) -> Regime:
        """That of the taught parts."""
        nothing = np.zeros(len(reference.mean))
        return cls(TAUGHT, nothing, nothing + 1, reference.limits)

    def apart(self, z: Vector) -> Vector:
        """Signals z (..., S), in taught spreads from the taught mean, as spreads from what is normal here (..., S)."""
        away: Vector = (z - self.offset) / self.scale
        return away


@dataclass(frozen=True)
class Sighting:
    """In which regime a confirmed part was seen, known or new, in the frame of which number, its signals (S,) as
    measured, and whether the camera was at `fault`: what it shows then makes no regime known.
    """

    regime: int
    number: int
    signals: Vector
    fault: bool


def regimes_of(parts: Parts, reference: Reference, seed: int) -> tuple[Regime, ...]:
    """The taught regime, then every other of which enough parts were confirmed, by their `parts`."""
    regimes = [Regime.taught(reference)]
    for name, signals in _signals(parts).items():
        if len(signals) >= ENOUGH_PARTS:
            z = reference.z(signals)
            offset, scale = z.mean(axis=0), np.maximum(z.std(axis=0), 1.0)
            regimes.append(Regime(name, offset, scale, bound((z - offset) / scale, np.ones(len(offset)), seed)))
    return tuple(regimes)


def extended(parts: Parts, seen: Sequence[Sighting]) -> dict[str, npt.NDArray[np.float64]]:
    """The parts of all regimes after some more were confirmed; the taught regime's stay the taught ones.

    Each keeps its first `MOST_PARTS`. Of more than `MOST_REGIMES` that are known the one leaves that was confirmed
    longest ago, as does every one that is not known yet before them.
    """
    signals, last = _signals(parts), _last(parts)
    for one in seen:
        if one.regime != TAUGHT and not one.fault:
            held = signals.get(one.regime, np.empty((0, len(one.signals))))
            signals[one.regime] = np.concatenate([held, one.signals[None]])[:MOST_PARTS]
            last[one.regime] = max(one.number, last.get(one.regime, 0), key=_recency)
    worth = sorted(signals, key=lambda name: (len(signals[name]) >= ENOUGH_PARTS, _recency(last[name]), _recency(name)))
    kept = sorted(worth[-MOST_REGIMES:])
    return {f"signals.{name}": signals[name] for name in kept} | {
        f"last.{name}": np.array([last[name]], dtype=np.float64) for name in kept
    }


def learned(before: Parts, after: Parts) -> bool:
    """Whether the parts `after` say more of any regime than those `before` did, not only that it was seen again."""
    counts = [{name: len(rows) for name, rows in _signals(parts).items()} for parts in (before, after)]
    return counts[0] != counts[1]


def _recency(frame: int) -> tuple[bool, int]:
    """What orders frames by when they were seen, where the older ones are known by their times and not by numbers."""
    return frame < FIRST_TIME_MS, frame


def _signals(parts: Parts) -> dict[int, Vector]:
    return {int(name.removeprefix("signals.")): v for name, v in sorted(parts.items()) if name.startswith("signals.")}


def _last(parts: Parts) -> dict[int, int]:
    return {int(name.removeprefix("last.")): int(v[0]) for name, v in parts.items() if name.startswith("last.")}
