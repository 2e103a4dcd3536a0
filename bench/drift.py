"""Drift: how seldom it cries wolf, how soon it tells, and whether it names the cause.

usage: python -m bench.drift [--seeds 20261123 1 2] [--runs 1000] [--streams 12] [--pictures docs/pictures] [--short]

Null streams are good parts that were not taught, drawn again and again; realised run length is frames watched for each
false alarm. Onsets come after 200 good frames, on real tiles (the lamp) and on rendered parts (every cause); river's
detectors and alibi-detect's online MMD see the same streams, tuned on these good parts to the same run length. Bursts
are ten defects in a row. Real exposures are judged by a static bank that only compensates. Days and nights
alternate until each is known again. The short form has no MMD and draws no pictures. Markdown on stdout.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.lib import arguments, onsets, pictures, returns, scenes, static
from bench.lib.material import TILES_SEED, Material, material
from bench.lib.peers import median_delay
from bench.lib.scenes import Setting
from drift.chart import BURST_FRAMES, RUN_LENGTH_FRAMES, accumulate, alarming, as_interval, evidence
from drift.monitor import MeasuredFrame, Monitor
from drift.reference import Signals, measure
from drift.river_detectors import ADWIN, RiverDetectors
from drift.signals import CAMERA, LIGHT
from memory.extract import Extractor

MATERIAL_AT = len(LIGHT) + len(CAMERA)


@dataclass(frozen=True)
class Extent:
    """How long null streams are for the charts and for ADWIN, over how many frames the costs of measuring and of the
    monitor are taken, how long a change lasts that goes again, and how large the bank of the six exposures is."""

    null_frames: int
    noticed_frames: int
    measured_frames: int
    cost_frames: int
    lasting: int
    budget: int


FULL = Extent(
    null_frames=10_000, noticed_frames=1_000, measured_frames=100, cost_frames=1_000_000, lasting=200, budget=10_000
)
SHORT = Extent(null_frames=20, noticed_frames=20, measured_frames=5, cost_frames=100, lasting=50, budget=300)


def null(setting: Setting, extent: Extent, runs: int, rng: np.random.Generator) -> tuple[str, str]:
    """Realised run lengths over good parts: of the charts, and of what ADWIN notices."""
    good, limits = setting.z(setting.good), setting.reference.limits
    increments = evidence(as_interval(good), limits)  # (n, S) -> (n, S, 2, T)
    sums, alarms = np.zeros((runs, *limits.shape)), 0
    for _ in range(extent.null_frames):
        sums = accumulate(sums, increments[rng.integers(0, len(good), runs)])
        false = alarming(sums).any(axis=1)
        alarms += int(false.sum())
        sums[false] = 0.0  # begun anew
    noticed = 0
    for _ in range(runs):
        watch = RiverDetectors("ADWIN", **ADWIN)
        noticed += sum(bool(watch.update(z).any()) for z in good[rng.integers(0, len(good), extent.noticed_frames)])
    return _length(runs * extent.null_frames, alarms), _length(runs * extent.noticed_frames, noticed)


def _length(frames: int, alarms: int) -> str:
    return f"{frames / alarms:,.0f}" if alarms else f"> {frames:,}"


def bursts(setting: Setting, runs: int, rng: np.random.Generator) -> None:
    """Prints how many of `runs` bursts of ten defects raise an alarm, by kind and mixed."""
    every = np.concatenate([setting.z(pool) for pool in setting.bad.values()])
    good, limits = setting.z(setting.good), setting.reference.limits
    for kind, z in {"mixed": every, **{kind: setting.z(pool) for kind, pool in setting.bad.items()}}.items():
        frames = [good[rng.integers(0, len(good), (40, runs))], z[rng.integers(0, len(z), (BURST_FRAMES, runs))]]
        sums, high = np.zeros((runs, *limits.shape)), np.zeros((runs, len(limits)), dtype=bool)
        for frame in np.concatenate(frames):
            sums = accumulate(sums, evidence(as_interval(frame), limits))
            high |= alarming(sums)
        material, camera = high[:, MATERIAL_AT:].any(axis=1).sum(), high[:, :MATERIAL_AT].any(axis=1).sum()
        print(f"| {setting.name} | {kind} | {material} | {camera} |")


def back(setting: Setting, lasting: int, streams: int, rng: np.random.Generator) -> None:
    """Prints how long after a change has gone again it is called over."""
    before = 200
    for change in setting.changes:
        if change.size not in {"-20%", "1.0 px", "5 px", "wear 0.5"}:
            continue
        over: list[int | None] = []
        for _ in range(streams):
            monitor = Monitor(setting.reference)
            there, calm = setting.stream(change, before, lasting, rng), setting.stream(change, 2 * before, 0, rng)
            for number in range(len(there.parts)):
                monitor.update(MeasuredFrame(there.frame(number, monitor), number, number, flagged=False))
            left = (
                monitor.update(MeasuredFrame(calm.frame(n, monitor), n, n, flagged=False))
                for n in range(len(calm.parts))
            )
            over.append(next((number for number, state in enumerate(left, 1) if not state.changes), None))
        delay = onsets.frames(median_delay(over))
        print(f"| {change.cause} {change.size} for {lasting} frames, and back | {delay} |")


def cost(on: Material, setting: Setting, backbone: Extractor, extent: Extent) -> None:
    """Prints milliseconds a frame, of measuring and of the monitor, and the monitor's over many frames."""
    image = on.load(on.shots()[0])
    features = backbone(image)
    took = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(extent.measured_frames):
            measure(image, image, features, setting.reference)
        took.append((time.perf_counter() - started) * 1000 / extent.measured_frames)
    print(f"Measuring a frame takes {np.median(took):.2f} ms (median of 5 × {extent.measured_frames}).\n")
    print("| frames | monitor, ms a frame | peak memory, MiB |\n| --- | --- | --- |")
    monitor, rng = Monitor(setting.reference), np.random.default_rng(0)
    signals = [Signals(v, light) for v, light in zip(setting.good.clean, setting.good.light, strict=True)]
    step = extent.cost_frames // 10
    for tenth in range(10):
        chosen = rng.integers(0, len(signals), step).tolist()
        started = time.perf_counter()
        for number, i in enumerate(chosen):
            monitor.update(MeasuredFrame(signals[i], tenth * step + number, tenth * step + number, flagged=False))
        each_ms = (time.perf_counter() - started) * 1000 / step
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {(tenth + 1) * step:,} | {each_ms:.3f} | {peak:.0f} |")


def main() -> None:
    """Everything, in the order of the issue's table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[TILES_SEED, 1, 2], help="seeds of make_stream.py")
    parser.add_argument("--runs", type=int, default=1000, help="null streams and bursts")
    parser.add_argument("--streams", type=int, default=12, help="streams for each onset")
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"), help="folder of the two pictures")
    options = arguments.parse(parser, seeds=[1], runs=5, streams=1)
    on, rng, started = material(short=options.short), np.random.default_rng(0), time.perf_counter()
    backbone = on.backbone()
    extent, of_scenes, of_onsets = FULL, scenes.FULL, onsets.FULL
    if options.short:
        extent, of_scenes, of_onsets = SHORT, scenes.SHORT, onsets.SHORT
    many, few = of_scenes.taught
    line = scenes.rendered(backbone, of_scenes, many)
    settings = [line, scenes.rendered(backbone, of_scenes, few, changes=False)]
    settings += [scenes.tiles(on, backbone, of_scenes, seed) for seed in options.seeds]
    print(f"\n### Run length over {options.runs} null streams; declared: {RUN_LENGTH_FRAMES:,} frames\n")
    print("| setting | charts | noticed by ADWIN |\n| --- | --- | --- |")
    for setting in settings:
        print(f"| {setting.name} | {' | '.join(null(setting, extent, options.runs, rng))} |", flush=True)
    called: dict[str, Counter[str]] = {}
    for setting in (line, settings[2]):
        print(f"\n### Median frames until it is told, {setting.name}", flush=True)
        for cause, counts in onsets.onsets(setting, of_onsets, options.streams, rng).items():
            called.setdefault(cause, Counter()).update(counts)
    print("\n### Causes")
    onsets.confusion(called)
    print(f"\n### Alarms in {options.runs} bursts of {BURST_FRAMES} defects\n")
    print("| setting | defects | of material | of light or camera |\n| --- | --- | --- | --- |")
    for setting in (line, *settings[2:]):
        bursts(setting, options.runs, rng)
    print("\n### A step and back\n\n| change | frames until it is over |\n| --- | --- |")
    back(line, extent.lasting, options.streams, rng)
    print("\n### Six real exposures, a static bank that only compensates\n")
    static.show([static.run(on, on.shots(), backbone, "stream.csv", extent.budget, 0.02, gain=True)])
    print("\n### Conditions that return\n")
    returns.show(on, line, settings[2], backbone, options.streams, rng)
    print("\n### Cost\n")
    cost(on, line, backbone, extent)
    if not options.short:  # matplotlib is in the peers' environment
        pictures.rendered_day(line, options.pictures / "drift-rendered.png", rng)
        pictures.real_exposures(on, backbone, options.pictures / "drift-tiles.png", rng)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
