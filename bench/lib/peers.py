"""The detectors that Driftline's charts are measured against: river's three and alibi-detect's online MMD.

All read the same signals in spreads. Each is tuned by one number until it raises no more false alarms on good parts
than one in `RUN_LENGTH_FRAMES`, on the very parts it is then measured with, which Driftline is never shown.
alibi-detect's runs in an environment of its own (bench/lib/mmd.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.lib.environments import alibi_detect, run
from drift.chart import RUN_LENGTH_FRAMES
from drift.river_detectors import RiverDetectors
from drift.signals import Vector

# From the most to the least sensitive; the first that is quiet enough is taken. KSWIN and MMD are slow: fewer frames.
TUNED: dict[str, tuple[str, Sequence[float], int]] = {
    "ADWIN": ("delta", (0.05, 0.02, 0.01, 0.005, 0.002, 0.0005, 1e-4, 1e-5, 1e-6), 200_000),
    "PageHinkley": ("threshold", (40, 60, 80, 120, 160, 240, 320, 480, 640, 960), 200_000),
    "KSWIN": ("alpha", (1e-6, 1e-8), 10_000),
}
MMD_WINDOWS, MMD_FRAMES = (5, 10), 40_000


def tuned(kind: str, good: Vector, most: int, rng: np.random.Generator) -> tuple[float, float]:
    """The parameter with which one of river's detectors is quiet enough on good parts z (n, S), and its run length over
    so many frames at `most`."""
    name, values, frames = TUNED[kind]
    frames = min(frames, most)
    drawn = good[rng.integers(0, len(good), frames)]
    for value in values:
        length = frames / max(_alarms(kind, {name: value}, drawn), 1)
        if length >= RUN_LENGTH_FRAMES:
            break
    return value, length


def first_alarm(kind: str, value: float, z: Vector, before: int) -> int | None:
    """After how many frames of a change at `before` one of river's detectors raises an alarm in a stream z (n, S)."""
    watch = _watch(kind, {TUNED[kind][0]: value})
    for number, row in enumerate(z):
        if watch.update(row).any() and number >= before:
            return number - before + 1
    return None


def _alarms(kind: str, parameters: dict[str, float], z: Vector) -> int:
    watch, alarms = _watch(kind, parameters), 0
    for row in z:
        if watch.update(row).any():
            alarms += 1
            watch = _watch(kind, parameters)
    return alarms


def _watch(kind: str, parameters: dict[str, float]) -> RiverDetectors:
    seeded = {"seed": 0} if kind == "KSWIN" else {}
    return RiverDetectors(kind, **parameters, **seeded)


def mmd(
    taught: Vector, good: Vector, streams: Sequence[Vector], before: int, rng: np.random.Generator
) -> dict[str, object]:
    """Online MMD (alibi-detect) with each window: its run lengths, declared and realised, and the frames until it
    raises an alarm in each of `streams` (n, S); its threshold is set by good parts so that it is quiet enough.
    """
    with tempfile.TemporaryDirectory() as folder:
        task, result = Path(folder) / "task.npz", Path(folder) / "result.npz"
        lengths = np.array([len(s) for s in streams])
        drawn = good[rng.integers(0, len(good), MMD_FRAMES)]
        np.savez(task, taught=taught, good=drawn, streams=np.concatenate(streams), lengths=lengths, windows=MMD_WINDOWS)
        if not run(alibi_detect(), "bench.lib.mmd", task, result, str(before), str(RUN_LENGTH_FRAMES)):
            raise SystemExit("alibi-detect's run failed: see above")
        with np.load(result) as archive:
            return {name: archive[name] for name in archive.files}


def median_delay(delays: Sequence[int | None]) -> float:
    """The median; without end where half of the streams or more never raised an alarm."""
    return float(np.median([np.inf if d is None else d for d in delays]))
