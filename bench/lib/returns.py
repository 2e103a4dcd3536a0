"""Conditions that return: how soon they are recognised, and what a threshold of their own does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.lib.bank import BUDGET
from bench.lib.material import Material
from bench.lib.peers import median_delay
from bench.lib.scenes import Pool, Setting, measured
from bench.lib.static import teach
from drift.light import compensate
from drift.monitor import DriftState, MeasuredFrame, Monitor
from drift.reference import Signals
from drift.regimes import TAUGHT, Regime, Sighting, extended, regimes_of
from drift.signals import light
from memory.extract import Extractor
from memory.features import View
from policies.threshold import calibrate

Half = npt.NDArray[np.bool_]
DAY, NIGHT = 150, 150
CONFIRMED = 20


@dataclass(frozen=True)
class Extent:
    """How often each condition returns, how often parts are split in two halves, and how large the bank is."""

    returns: int
    splits: int
    budget: int


FULL = Extent(returns=5, splits=200, budget=BUDGET)
SHORT = Extent(returns=1, splits=2, budget=300)


def frame(pool: Pool, monitor: Monitor, i: int) -> Signals:
    """The signals of a pool's part under the light as a monitor believes it to be."""
    wanted = float((pool.light - monitor.reference.light).mean())
    left = 1 - float(monitor.gain.mean()) / wanted if abs(wanted) > 0.005 else 0.0
    return pool.at(i, pool, 1.0).signals(left)


def alternating(
    setting: Setting, night: Pool, returns: int, rng: np.random.Generator
) -> tuple[list[int | None], list[int | None]]:
    """After the first night, in which `CONFIRMED` parts were confirmed as good: frames until each of the following
    nights and days was known again, None where it was not within `NIGHT` or `DAY`.
    """
    monitor, now = Monitor(setting.reference), 0

    def watched(pool: Pool, frames: int, regimes: tuple[Regime, ...]) -> list[DriftState]:
        nonlocal now
        states = []
        for i in rng.integers(0, len(pool.clean), frames):
            now += 1
            states.append(monitor.update(MeasuredFrame(frame(pool, monitor, i), now, now, flagged=False), regimes))
        return states

    watched(setting.good, DAY, ())
    first = watched(night, NIGHT, ())[-1].regime
    if first == TAUGHT:
        return [], []  # nothing has changed that charts can see
    goods = rng.integers(0, len(night.clean), CONFIRMED)
    sightings = [Sighting(first, now, frame(night, monitor, i).values, fault=False) for i in goods]
    regimes = regimes_of(extended({}, sightings), setting.reference, 0)
    nights, days = [], []
    for _ in range(returns):
        days.append(_known(watched(setting.good, DAY, regimes), TAUGHT))
        nights.append(_known(watched(night, NIGHT, regimes), first))
    return nights, days


def _known(states: list[DriftState], regime: int) -> int | None:
    """Frames until the scene was in the regime to stay."""
    away = [number for number, state in enumerate(states) if state.regime != regime]
    last = away[-1] + 1 if away else 0
    return last if last < len(states) else None


def recognised(setting: Setting, nights: dict[str, Pool], streams: int, returns: int, rng: np.random.Generator) -> None:
    """Prints a row for every condition."""
    for name, pool in nights.items():
        by_stream = [alternating(setting, pool, returns, rng) for _ in range(streams)]
        back = [[frames for stream in by_stream for frames in stream[which]] for which in (0, 1)]
        if not back[0]:
            print(f"| {setting.name} | {name} | seen by no chart | |")
            continue
        print(f"| {setting.name} | {name} | {' | '.join(_cell(frames) for frames in back)} |", flush=True)


def _cell(frames: list[int | None]) -> str:
    median = median_delay(frames)
    after = f"after {median:.0f}" if median < np.inf else "never in half of them"
    return f"{sum(f is not None for f in frames)} of {len(frames)}, {after}"


def exposures(on: Material, setting: Setting, backbone: Extractor) -> dict[str, Pool]:
    """Good tiles of the other five real exposures; the setting's own line knows the first."""
    goods = [s for s in on.shots() if s.role != "setup" and not s.defective]
    return {
        f"exposure {number}": measured([on.load(s) for s in goods if s.exposure == number], setting.reference, backbone)
        for number in range(2, 7)
    }


def own_thresholds(on: Material, backbone: Extractor, extent: Extent, rate: float, rng: np.random.Generator) -> None:
    """Prints false rejects and recall of a static bank by exposure, full compensation, under the threshold of all
    calibration parts together and under its own. Half of each exposure's good probes calibrate, the rest are judged;
    means over splits in two halves.
    """
    rows = on.shots()
    taught, reference = teach(on, backbone, [s for s in rows if s.role == "setup"], extent.budget, rate)
    probes = [s for s in rows if s.role == "probe"]
    of_exposure = np.array([s.exposure for s in probes])
    bad = np.array([s.defective for s in probes])
    scores = np.zeros(len(probes))
    for number in range(1, 7):
        images = [on.load(s) for s in probes if s.exposure == number]
        gain = np.mean([light(image) for image in images], axis=0) - reference.light
        scores[of_exposure == number] = [
            taught.bank.score(View(backbone(compensate(image, gain)))).value for image in images
        ]
    rates = np.zeros((extent.splits, 6, 2, 2))  # (split, exposure, pooled or own, false rejects or recall)
    for split in range(extent.splits):
        half = _half(of_exposure, bad, rng)
        pooled = calibrate([*taught.threshold.scores, *scores[half & ~bad]], rate).value
        for number in range(1, 7):
            here = of_exposure == number
            own = calibrate([*(taught.threshold.scores if number == 1 else ()), *scores[half & ~bad & here]], rate)
            for which, value in enumerate((pooled, own.value)):
                for what, judged in enumerate((~half & ~bad, bad)):
                    rates[split, number - 1, which, what] = (scores[judged & here] > value).mean()
    mean = 100 * rates.mean(axis=0)
    print("| threshold | false rejects by exposure 1 → 6, % | recall by exposure, % |\n| --- | --- | --- |")
    for which, name in enumerate(("of all parts together", "each regime's own")):
        rejects, recall = (" ".join(f"{v:.0f}" for v in mean[:, which, what]) for what in (0, 1))
        print(f"| {name} | {rejects} | {recall} |")


def _half(of_exposure: npt.NDArray[np.int64], bad: npt.NDArray[np.bool_], rng: np.random.Generator) -> Half:
    """Which probes calibrate: each by a coin, until every exposure has good ones on both sides."""
    while True:
        half: Half = rng.random(len(bad)) < 0.5
        if all(np.unique(half[(of_exposure == number) & ~bad]).size == 2 for number in range(1, 7)):
            return half


def show(
    on: Material, line: Setting, real: Setting, backbone: Extractor, streams: int, rng: np.random.Generator
) -> None:
    """Both tables."""
    extent = SHORT if on.short else FULL
    print("| setting | the other condition | nights known again, frames | days known again, frames |")
    print("| --- | --- | --- | --- |")
    wanted = {("light", "-20%"), ("light", "+20%"), ("colour", "red -10%"), ("material", "wear 0.5")}
    nights = {f"{c.cause} {c.size}": c.pool for c in line.changes if (c.cause, c.size) in wanted}
    recognised(line, nights, streams, extent.returns, rng)
    recognised(replace(real, name="tiles"), exposures(on, real, backbone), streams, extent.returns, rng)
    print("\nA threshold of its own, asked for 10 % (half an exposure's goods support no less than about 3 %):\n")
    own_thresholds(on, backbone, extent, 0.1, rng)
