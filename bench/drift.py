"""Drift: how seldom it cries wolf, how soon it tells, and whether it names the cause.

usage: python bench/drift.py [--seeds 20261123 1 2] [--runs 1000] [--streams 12] [--pictures docs/pictures]

Null streams are good parts that were not taught, drawn again and again; realised run length is frames watched for each
false alarm. Onsets come after 200 good frames, on real tiles (the lamp) and on rendered parts (every cause); river's
detectors and alibi-detect's online MMD see the same streams, tuned on these good parts to the same run length. Bursts
are ten defects in a row. Real exposures are judged by a static bank that only compensates. Days and nights
alternate until each is known again. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import pictures, returns, tiles
from bench.peers import MMD_WINDOWS, TUNED, first_alarm, median_delay, mmd, tuned
from bench.protocol import extractor, load, shots
from bench.scenes import Change, Setting, rendered
from bench.scenes import tiles as real
from drift.chart import BURST_FRAMES, RUN_LENGTH_FRAMES, accumulate, alarming, evidence, exactly
from drift.monitor import DriftState, MeasuredFrame, Monitor
from drift.reference import Signals, measure
from drift.river_detectors import ADWIN, RiverDetectors
from drift.signals import CAMERA, LIGHT, Vector
from memory.extract import Extractor

BEFORE, AFTER = 200, 300
KSWIN_STREAMS, KSWIN_AFTER = 5, 120
NULL_FRAMES, NOTICED_FRAMES = 10_000, 1_000
COST_FRAMES = 1_000_000
MATERIAL_AT = len(LIGHT) + len(CAMERA)


def null(setting: Setting, runs: int, rng: np.random.Generator) -> tuple[str, str]:
    """Realised run lengths over good parts: of the charts, and of what ADWIN notices."""
    good, limits = setting.z(setting.good), setting.reference.limits
    said = evidence(exactly(good), limits)  # (n, S) -> (n, S, 2, T)
    sums, alarms = np.zeros((runs, *limits.shape)), 0
    for _ in range(NULL_FRAMES):
        sums = accumulate(sums, said[rng.integers(0, len(good), runs)])
        false = alarming(sums).any(axis=1)
        alarms += int(false.sum())
        sums[false] = 0.0  # begun anew
    noticed = 0
    for _ in range(runs):
        watch = RiverDetectors("ADWIN", **ADWIN)
        noticed += sum(bool(watch.update(z).any()) for z in good[rng.integers(0, len(good), NOTICED_FRAMES)])
    return _length(runs * NULL_FRAMES, alarms), _length(runs * NOTICED_FRAMES, noticed)


def _length(frames: int, alarms: int) -> str:
    return f"{frames / alarms:,.0f}" if alarms else f"> {frames:,}"


Onset = tuple[list[int | None], list[str], list[Vector]]


def onset(setting: Setting, change: Change, streams: int, rng: np.random.Generator) -> Onset:
    """Driftline over streams with a change: frames until it tells, what it calls it first, and the signals it saw."""
    delays: list[int | None] = []
    names, seen = [], []
    for _ in range(streams):
        stream, monitor = setting.stream(change, BEFORE, change.frames + AFTER, rng), Monitor(setting.reference)
        z, delay = [], None
        for at in range(len(stream.parts)):
            signals = stream.frame(at, monitor)
            state = monitor.update(_seen(signals, at))
            z.append(setting.reference.z(signals.values))
            told = _told(state)
            if delay is None and at >= BEFORE and told:
                delay = at - BEFORE + 1
                names.append(told)
        delays.append(delay)
        seen.append(np.stack(z))
    return delays, names, seen


def _seen(signals: Signals, number: int) -> MeasuredFrame:
    """A frame of a line that shows one every millisecond and flags none."""
    return MeasuredFrame(signals, number, number, flagged=False)


def _told(state: DriftState) -> str:
    return next((change.cause for change in (*state.changes, *state.noticed)), "")


def onsets(setting: Setting, streams: int, rng: np.random.Generator) -> dict[str, Counter[str]]:
    """Prints the table of delays against all peers; returns what each cause was called."""
    good = setting.z(setting.good)
    quiet = {kind: tuned(kind, good, rng) for kind in TUNED}
    called: dict[str, Counter[str]] = {}
    rows: list[tuple[Change, dict[str, float], int]] = []
    every: list[Vector] = []
    for change in setting.changes:
        delays, names, seen = onset(setting, change, streams, rng)
        called.setdefault(change.cause, Counter()).update(names)
        cap = change.frames + AFTER
        row = {"Driftline": median_delay(delays)}
        for kind, (value, _) in quiet.items():
            few, last = (KSWIN_STREAMS, change.frames + KSWIN_AFTER) if kind == "KSWIN" else (streams, cap)
            row[kind] = median_delay([first_alarm(kind, value, z[: BEFORE + last], BEFORE) for z in seen[:few]])
        rows.append((change, row, sum(d is not None for d in delays)))
        every += seen
        print(f"{setting.name}: {change.cause} {change.size} {row}", file=sys.stderr, flush=True)
    found = mmd(setting.taught, good, every, BEFORE, rng)
    for window in MMD_WINDOWS:
        for at, (_, row, _) in enumerate(rows):
            own = found[f"delays {window}"][at * streams : (at + 1) * streams].tolist()
            row[f"MMD {window}"] = median_delay([None if d < 0 else d for d in own])
    lengths = {kind: f"{TUNED[kind][0]} {value:g}: {length:,.0f}" for kind, (value, length) in quiet.items()}
    for window in MMD_WINDOWS:
        own = float(found[f"declared {window}"])
        lengths[f"MMD {window}"] = f"by itself to {RUN_LENGTH_FRAMES // 10:,} was {own:,.0f}, then by good parts"
    said = "; ".join(f"{kind} {length}" for kind, length in lengths.items())
    print(f"\nTuned to one false alarm in {RUN_LENGTH_FRAMES:,} frames: {said}. —: not in half of the streams.\n")
    names = list(rows[0][1])
    print(f"| cause | size | {' | '.join(names)} | told |\n| --- | --- |{' --- |' * (len(names) + 1)}")
    for change, row, told in rows:
        best = min(row.values())
        cells = " | ".join(f"**{_frames(v)}**" if v == best < np.inf else _frames(v) for v in row.values())
        print(f"| {change.cause} | {change.size} | {cells} | {told} of {streams} |")
    print(f"\n| cause, median over its sizes | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for cause in called:
        middles = [float(np.median([row[n] for change, row, _ in rows if change.cause == cause])) for n in names]
        print(f"| {cause} | {' | '.join(map(_frames, middles))} |")
    return called


def _frames(delay: float) -> str:
    return f"{delay:.0f}" if delay < np.inf else "—"


def confusion(called: dict[str, Counter[str]]) -> None:
    """What each cause was called first."""
    names = sorted({name for counts in called.values() for name in counts} | set(called))
    print(f"\n| cause \\ called | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for cause, counts in called.items():
        print(f"| {cause} | {' | '.join(str(counts[name] or '') for name in names)} |")
    right = sum(counts[cause] for cause, counts in called.items())
    print(f"\nNamed right: {right} of {sum(c.total() for c in called.values())} that were told.")


def bursts(setting: Setting, runs: int, rng: np.random.Generator) -> None:
    """Prints how many of `runs` bursts of ten defects raise an alarm, by kind and mixed."""
    every = np.concatenate([setting.z(pool) for pool in setting.bad.values()])
    good, limits = setting.z(setting.good), setting.reference.limits
    for kind, z in {"mixed": every, **{kind: setting.z(pool) for kind, pool in setting.bad.items()}}.items():
        frames = [good[rng.integers(0, len(good), (40, runs))], z[rng.integers(0, len(z), (BURST_FRAMES, runs))]]
        sums, high = np.zeros((runs, *limits.shape)), np.zeros((runs, len(limits)), dtype=bool)
        for frame in np.concatenate(frames):
            sums = accumulate(sums, evidence(exactly(frame), limits))
            high |= alarming(sums)
        material, camera = high[:, MATERIAL_AT:].any(axis=1).sum(), high[:, :MATERIAL_AT].any(axis=1).sum()
        print(f"| {setting.name} | {kind} | {material} | {camera} |")


def back(setting: Setting, streams: int, rng: np.random.Generator) -> None:
    """Prints how long after a change has gone again it is called over."""
    for change in setting.changes:
        if change.size not in {"-20%", "1.0 px", "5 px", "wear 0.5"}:
            continue
        over: list[int | None] = []
        for _ in range(streams):
            monitor = Monitor(setting.reference)
            there, calm = setting.stream(change, BEFORE, 200, rng), setting.stream(change, 400, 0, rng)
            for at in range(len(there.parts)):
                monitor.update(_seen(there.frame(at, monitor), at))
            left = (monitor.update(_seen(calm.frame(at, monitor), at)) for at in range(len(calm.parts)))
            over.append(next((at + 1 for at, state in enumerate(left) if not state.changes), None))
        print(f"| {change.cause} {change.size} for 200 frames, and back | {_frames(median_delay(over))} |")


def cost(setting: Setting, backbone: Extractor) -> None:
    """Prints milliseconds a frame, of measuring and of the monitor, and the monitor's over a million frames."""
    image = load(shots()[0])
    patches = backbone(image).patches
    took = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(100):
            measure(image, image, patches, setting.reference)
        took.append((time.perf_counter() - started) * 10)
    print(f"Measuring a frame takes {np.median(took):.2f} ms (median of 5 × 100).\n")
    print("| frames | monitor, ms a frame | peak memory, MiB |\n| --- | --- | --- |")
    monitor, rng = Monitor(setting.reference), np.random.default_rng(0)
    frames = [Signals(v, light) for v, light in zip(setting.good.clean, setting.good.light, strict=True)]
    step = COST_FRAMES // 10
    for tenth in range(10):
        chosen = rng.integers(0, len(frames), step).tolist()
        started = time.perf_counter()
        for at, i in enumerate(chosen):
            monitor.update(_seen(frames[i], tenth * step + at))
        each_ms = (time.perf_counter() - started) * 1000 / step
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {(tenth + 1) * step:,} | {each_ms:.3f} | {peak:.0f} |")


def main() -> None:
    """Everything, in the order of the issue's table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[20261123, 1, 2], help="seeds of make_stream.py")
    parser.add_argument("--runs", type=int, default=1000, help="null streams and bursts")
    parser.add_argument("--streams", type=int, default=12, help="streams for each onset")
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"), help="folder of the two pictures")
    given = parser.parse_args()
    backbone, rng, started = extractor(), np.random.default_rng(0), time.perf_counter()
    line = rendered(backbone)
    settings = [line, rendered(backbone, 12, changes=False), *(real(backbone, seed) for seed in given.seeds)]
    print(f"\n### Run length over {given.runs} null streams; declared: {RUN_LENGTH_FRAMES:,} frames\n")
    print("| setting | charts | noticed by ADWIN |\n| --- | --- | --- |")
    for setting in settings:
        print(f"| {setting.name} | {' | '.join(null(setting, given.runs, rng))} |", flush=True)
    called: dict[str, Counter[str]] = {}
    for setting in (line, settings[2]):
        print(f"\n### Median frames until it is told, {setting.name}", flush=True)
        for cause, counts in onsets(setting, given.streams, rng).items():
            called.setdefault(cause, Counter()).update(counts)
    print("\n### Causes")
    confusion(called)
    print(f"\n### Alarms in {given.runs} bursts of {BURST_FRAMES} defects\n")
    print("| setting | defects | of material | of light or camera |\n| --- | --- | --- | --- |")
    for setting in (line, *settings[2:]):
        bursts(setting, given.runs, rng)
    print("\n### A step and back\n\n| change | frames until it is over |\n| --- | --- |")
    back(line, given.streams, rng)
    print("\n### Six real exposures, a static bank that only compensates\n")
    tiles.show([tiles.run(shots(), backbone, "stream.csv", 10_000, 0.02, gain=True)])
    print("\n### Conditions that return\n")
    returns.show(line, settings[2], backbone, given.streams, rng)
    print("\n### Cost\n")
    cost(line, backbone)
    pictures.rendered_day(line, given.pictures / "drift-rendered.png", rng)
    pictures.real_exposures(backbone, given.pictures / "drift-tiles.png", rng)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
