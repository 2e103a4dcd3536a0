"""Conditions that return: how soon they are recognised, and what a threshold of their own does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.peers import median_delay
from bench.protocol import load, shots
from bench.scenes import Pool, Setting, exposure, measured
from bench.tiles import taught
from drift.light import compensate
from drift.monitor import DriftState, MeasuredFrame, Monitor
from drift.reference import Signals
from drift.regimes import TAUGHT, Regime, Sighting, extended, regimes_of
from drift.signals import light
from memory.extract import Extractor
from policies.threshold import calibrate

DAY, NIGHT, RETURNS = 150, 150, 5
CONFIRMED = 20
SPLITS = 200


def frame(pool: Pool, monitor: Monitor, i: int) -> Signals:
    """The signals of a pool's part under the light as a monitor believes it to be."""
    wanted = float((pool.light - monitor.reference.light).mean())
    left = 1 - float(monitor.gain.mean()) / wanted if abs(wanted) > 0.005 else 0.0
    return pool.at(i, pool, 1.0).signals(left)


def alternating(setting: Setting, night: Pool, rng: np.random.Generator) -> tuple[list[int | None], list[int | None]]:
    """After the first night, in which `CONFIRMED` parts were confirmed as good: frames until each of the following
    nights and days was known again, None where it was not within `NIGHT` or `DAY`.
    """
    monitor, now = Monitor(setting.reference), 0

    def shown(pool: Pool, frames: int, regimes: tuple[Regime, ...]) -> list[DriftState]:
        nonlocal now
        states = []
        for i in rng.integers(0, len(pool.clean), frames):
            now += 1
            states.append(monitor.update(MeasuredFrame(frame(pool, monitor, i), now, now, flagged=False), regimes))
        return states

    shown(setting.good, DAY, ())
    first = shown(night, NIGHT, ())[-1].regime
    if first == TAUGHT:
        return [], []  # nothing has changed that charts can see
    goods = rng.integers(0, len(night.clean), CONFIRMED)
    seen = [Sighting(first, now, frame(night, monitor, i).values, fault=False) for i in goods]
    regimes = regimes_of(extended({}, seen), setting.reference, 0)
    nights, days = [], []
    for _ in range(RETURNS):
        days.append(_known(shown(setting.good, DAY, regimes), TAUGHT))
        nights.append(_known(shown(night, NIGHT, regimes), first))
    return nights, days


def _known(states: list[DriftState], regime: int) -> int | None:
    """Frames until the scene was in the regime to stay."""
    away = [at for at, state in enumerate(states) if state.regime != regime]
    last = away[-1] + 1 if away else 0
    return last if last < len(states) else None


def recognised(setting: Setting, nights: dict[str, Pool], streams: int, rng: np.random.Generator) -> None:
    """Prints a row for every condition."""
    for name, pool in nights.items():
        found = [alternating(setting, pool, rng) for _ in range(streams)]
        back = [[frames for stream in found for frames in stream[at]] for at in (0, 1)]
        if not back[0]:
            print(f"| {setting.name} | {name} | seen by no chart | |")
            continue
        cells = [
            f"{sum(f is not None for f in frames)} of {len(frames)}, after {median_delay(frames):.0f}"
            for frames in back
        ]
        print(f"| {setting.name} | {name} | {' | '.join(cells)} |", flush=True)


def exposures(setting: Setting, backbone: Extractor) -> dict[str, Pool]:
    """Good tiles of the other five real exposures; the setting's own line knows the first."""
    goods = [s for s in shots() if s.role != "setup" and not s.defective]
    look = lambda image: backbone(image).patches  # noqa: E731  # one use
    return {
        f"exposure {number}": measured([load(s) for s in goods if exposure(s) == number], setting.reference, look)
        for number in range(2, 7)
    }


def own_thresholds(backbone: Extractor, rate: float, rng: np.random.Generator) -> None:
    """Prints false rejects and recall of a static bank by exposure, full compensation, under the threshold of all
    calibration parts together and under its own. Half of each exposure's good probes calibrate, the rest are judged;
    means of `SPLITS` splits.
    """
    rows = shots()
    bank, threshold, reference = taught(backbone, [s for s in rows if s.role == "setup"], 10_000, rate, 0)
    probes = [s for s in rows if s.role == "probe"]
    at = np.array([exposure(s) for s in probes])
    bad = np.array([s.defective for s in probes])
    scores = np.zeros(len(probes))
    for number in range(1, 7):
        images = [load(s) for s in probes if exposure(s) == number]
        gain = np.mean([light(image) for image in images], axis=0) - reference.light
        scores[at == number] = [bank.score(backbone(compensate(image, gain))).value for image in images]
    told = np.zeros((SPLITS, 6, 2, 2))  # (split, exposure, pooled or own, false rejects or recall)
    for split in range(SPLITS):
        half = rng.random(len(probes)) < 0.5
        pooled = calibrate([*threshold.scores, *scores[half & ~bad]], rate).value
        for number in range(1, 7):
            own = calibrate(
                [*(threshold.scores if number == 1 else ()), *scores[half & ~bad & (at == number)]], rate
            ).value
            for which, value in enumerate((pooled, own)):
                for what, judged in enumerate((~half & ~bad, bad)):
                    told[split, number - 1, which, what] = (scores[judged & (at == number)] > value).mean()
    mean = 100 * told.mean(axis=0)
    print("| threshold | false rejects by exposure 1 → 6, % | recall by exposure, % |\n| --- | --- | --- |")
    for which, name in enumerate(("of all parts together", "each regime's own")):
        rejects, recall = (" ".join(f"{v:.0f}" for v in mean[:, which, what]) for what in (0, 1))
        print(f"| {name} | {rejects} | {recall} |")


def show(line: Setting, real: Setting, backbone: Extractor, streams: int, rng: np.random.Generator) -> None:
    """Both tables."""
    print("| setting | the other condition | nights known again, frames | days known again, frames |")
    print("| --- | --- | --- | --- |")
    wanted = {("light", "-20%"), ("light", "+20%"), ("colour", "red -10%"), ("material", "wear 0.5")}
    nights = {f"{c.cause} {c.size}": c.pool for c in line.changes if (c.cause, c.size) in wanted}
    recognised(line, nights, streams, rng)
    recognised(replace(real, name="tiles"), exposures(real, backbone), streams, rng)
    print("\nA threshold of its own, asked for 10 % (half an exposure's goods support no less than about 3 %):\n")
    own_thresholds(backbone, 0.1, rng)
