"""Regimes: conditions of light, camera and material that return, each known by good parts confirmed in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

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
    """A known regime, with charts of its own.

    Its `name`, which never changes, is the number of the frame with which it first began, or the time of that
    (`FIRST_TIME_MS`); the taught parts' is `TAUGHT`. The mean of its signals lies `offset` (S,) from that of the taught
    parts, and their spread is `scale` (S,), both in taught spreads; `limits` (S, 2, T) are those of its charts.
    """

    name: int
    offset: Vector
    scale: Vector
    limits: Evidence

    @classmethod
    def taught(cls, reference: Reference) -> Regime:
        """The regime of the taught parts."""
        nothing = np.zeros(len(reference.mean))
        return cls(TAUGHT, nothing, nothing + 1, reference.limits)

    def apart(self, z: Vector) -> Vector:
        """Signals z (..., S), in taught spreads from the taught mean, as spreads from what is normal here (..., S)."""
        away: Vector = (z - self.offset) / self.scale
        return away


@dataclass(frozen=True)
class Sighting:
    """How the scene was when a confirmed part was seen: its regime, known or new, the frame's number, the signals (S,)
    as measured, and whether the camera was at `fault`: what it shows then makes no regime known.
    """

    regime: int
    number: int
    signals: Vector
    fault: bool


def regimes_of(parts: Parts, reference: Reference, seed: int) -> tuple[Regime, ...]:
    """The known regimes: the taught one, then every other one with enough confirmed parts among `parts`."""
    regimes = [Regime.taught(reference)]
    for name, signals in _signals(parts).items():
        if len(signals) >= ENOUGH_PARTS:
            z = reference.z(signals)
            offset, scale = z.mean(axis=0), np.maximum(z.std(axis=0), 1.0)
            regimes.append(Regime(name, offset, scale, _limits(((z - offset) / scale).tobytes(), len(z), seed)))
    return tuple(regimes)


@lru_cache(maxsize=64)
def _limits(spreads: bytes, parts: int, seed: int) -> Evidence:
    """The limits of a regime's charts, by its parts' signals (n, S) in its own spreads. They take 40 ms, and each
    activation asks for them once for every version that knew the regime."""
    z = np.frombuffer(spreads).reshape(parts, -1)  # (n * S,) -> (n, S)
    limits = bound(z, np.ones(z.shape[1]), seed)
    limits.setflags(write=False)
    return limits


def extended(parts: Parts, seen: Sequence[Sighting]) -> dict[str, npt.NDArray[np.float64]]:
    """The parts of all regimes with the confirmed ones of `seen` added; the taught regime's do not change.

    Each regime keeps its first `MOST_PARTS`. Beyond `MOST_REGIMES`, those that are not known yet are removed first,
    then known ones, in both cases the one that was confirmed longest ago first.
    """
    signals, last = _signals(parts), _last(parts)
    for one in seen:
        if one.regime != TAUGHT and not one.fault:
            earlier = signals.get(one.regime, np.empty((0, len(one.signals))))
            signals[one.regime] = np.concatenate([earlier, one.signals[None]])[:MOST_PARTS]
            last[one.regime] = max(one.number, last.get(one.regime, 0), key=_recency)
    worth = sorted(signals, key=lambda name: (len(signals[name]) >= ENOUGH_PARTS, _recency(last[name]), _recency(name)))
    kept = sorted(worth[-MOST_REGIMES:])
    return {f"signals.{name}": signals[name] for name in kept} | {
        f"last.{name}": np.array([last[name]], dtype=np.float64) for name in kept
    }


def learned(before: Parts, after: Parts) -> bool:
    """Whether `after` holds other regimes or other numbers of parts than `before`, not only later frames."""
    counts = [{name: len(rows) for name, rows in _signals(parts).items()} for parts in (before, after)]
    return counts[0] != counts[1]


def _recency(frame: int) -> tuple[bool, int]:
    """A key that sorts frames by when they were seen; older ones are named by times and not by numbers."""
    return frame < FIRST_TIME_MS, frame


def _signals(parts: Parts) -> dict[int, Vector]:
    return {int(name.removeprefix("signals.")): v for name, v in sorted(parts.items()) if name.startswith("signals.")}


def _last(parts: Parts) -> dict[int, int]:
    return {int(name.removeprefix("last.")): int(v[0]) for name, v in parts.items() if name.startswith("last.")}
