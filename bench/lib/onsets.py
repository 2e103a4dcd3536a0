"""How soon a change is told, and what it is called: Driftline beside its peers, over streams of each."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bench.lib.peers import MMD_WINDOWS, TUNED, first_alarm, median_delay, mmd, tuned
from bench.lib.scenes import Change, Setting
from drift.chart import RUN_LENGTH_FRAMES
from drift.monitor import DriftState, MeasuredFrame, Monitor
from drift.signals import Vector

KSWIN_STREAMS, KSWIN_AFTER = 5, 120


@dataclass(frozen=True)
class Extent:
    """How many frames come before a change and after it, how many the peers are tuned over at most, and whether MMD is
    among them, which needs an environment of its own."""

    before: int
    after: int
    tuning: int
    mmd: bool


FULL = Extent(before=200, after=300, tuning=200_000, mmd=True)
SHORT = Extent(before=20, after=40, tuning=50, mmd=False)
Row = tuple[Change, dict[str, float], int]
Onset = tuple[list[int | None], list[str], list[Vector]]


def onset(setting: Setting, change: Change, extent: Extent, streams: int, rng: np.random.Generator) -> Onset:
    """Driftline over streams with a change: frames until it tells, what it calls it first, and the signals it saw."""
    delays: list[int | None] = []
    names, signals_of = [], []
    for _ in range(streams):
        stream = setting.stream(change, extent.before, change.frames + extent.after, rng)
        monitor, z, delay = Monitor(setting.reference), [], None
        for number in range(len(stream.parts)):
            signals = stream.frame(number, monitor)
            state = monitor.update(MeasuredFrame(signals, number, number, flagged=False))
            z.append(setting.reference.z(signals.values))
            cause = _cause(state)
            if delay is None and number >= extent.before and cause:
                delay = number - extent.before + 1
                names.append(cause)
        delays.append(delay)
        signals_of.append(np.stack(z))
    return delays, names, signals_of


def _cause(state: DriftState) -> str:
    return next((change.cause for change in (*state.changes, *state.noticed)), "")


def onsets(setting: Setting, extent: Extent, streams: int, rng: np.random.Generator) -> dict[str, Counter[str]]:
    """Prints the table of delays against all peers; returns what each cause was called."""
    good = setting.z(setting.good)
    quiet = {kind: tuned(kind, good, extent.tuning, rng) for kind in TUNED}
    called: dict[str, Counter[str]] = {}
    rows: list[Row] = []
    every: list[Vector] = []
    for change in setting.changes:
        delays, names, signals = onset(setting, change, extent, streams, rng)
        called.setdefault(change.cause, Counter()).update(names)
        cap = extent.before + change.frames + extent.after
        row = {"Driftline": median_delay(delays)}
        for kind, (value, _) in quiet.items():
            few, last = (KSWIN_STREAMS, extent.before + change.frames + KSWIN_AFTER) if kind == "KSWIN" else (None, cap)
            row[kind] = median_delay([first_alarm(kind, value, z[:last], extent.before) for z in signals[:few]])
        rows.append((change, row, sum(d is not None for d in delays)))
        every += signals
        print(f"{setting.name}: {change.cause} {change.size} {row}", file=sys.stderr, flush=True)
    lengths = {kind: f"{TUNED[kind][0]} {value:g}: {length:,.0f}" for kind, (value, length) in quiet.items()}
    if extent.mmd:
        lengths |= _add_mmd(setting, rows, every, extent, streams, rng)
    each = "; ".join(f"{kind} {length}" for kind, length in lengths.items())
    print(f"\nTuned to one false alarm in {RUN_LENGTH_FRAMES:,} frames: {each}. —: not in half of the streams.\n")
    _table(rows, list(called), streams)
    return called


def _add_mmd(
    setting: Setting, rows: list[Row], every: list[Vector], extent: Extent, streams: int, rng: np.random.Generator
) -> dict[str, str]:
    """Adds MMD's delays to the rows; returns how it was tuned, by window."""
    results = mmd(setting.taught, setting.z(setting.good), every, extent.before, rng)
    lengths = {}
    for window in MMD_WINDOWS:
        for number, (_, row, _) in enumerate(rows):
            own = results[f"delays {window}"][number * streams : (number + 1) * streams].tolist()
            row[f"MMD {window}"] = median_delay([None if d < 0 else d for d in own])
        declared = f"by itself to {RUN_LENGTH_FRAMES // 10:,} was {float(results[f'declared {window}']):,.0f}"
        lengths[f"MMD {window}"] = f"{declared}, then by good parts"
    return lengths


def _table(rows: list[Row], causes: list[str], streams: int) -> None:
    names = list(rows[0][1])
    print(f"| cause | size | {' | '.join(names)} | told |\n| --- | --- |{' --- |' * (len(names) + 1)}")
    for change, row, count in rows:
        best = min(row.values())
        cells = " | ".join(f"**{frames(v)}**" if v == best < np.inf else frames(v) for v in row.values())
        print(f"| {change.cause} | {change.size} | {cells} | {count} of {streams} |")
    print(f"\n| cause, median over its sizes | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for cause in causes:
        middles = [float(np.median([row[n] for change, row, _ in rows if change.cause == cause])) for n in names]
        print(f"| {cause} | {' | '.join(map(frames, middles))} |")


def frames(delay: float) -> str:
    """A delay as a table has it."""
    return f"{delay:.0f}" if delay < np.inf else "—"


def confusion(called: dict[str, Counter[str]]) -> None:
    """What each cause was called first."""
    names = sorted({name for counts in called.values() for name in counts} | set(called))
    print(f"\n| cause \\ called | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for cause, counts in called.items():
        print(f"| {cause} | {' | '.join(str(counts[name] or '') for name in names)} |")
    right = sum(counts[cause] for cause, counts in called.items())
    print(f"\nNamed right: {right} of {sum(c.total() for c in called.values())} that were told.")
