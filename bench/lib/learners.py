"""Learners of the tile protocol beside Driftline: same features, same budget, same calibration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.lib.bank import (
    HELD_OUT,
    LESSON,
    bank_of,
    calibrated,
    coreset,
    extended,
    of_rows,
    plain,
    taught_bank,
    with_scale_of,
)
from bench.lib.line import Line, Part, State, named
from bench.lib.protocol import STAGES
from memory.detector import Capacity
from memory.patch_bank.bank import PatchBank
from policies.fitting import Limits

REVIEW = 0.4


@dataclass(frozen=True)
class Setting:
    """What all learners share: the bank's budget, the false-reject rate asked for, the seed of random choices."""

    budget: int
    rate: float
    seed: int

    @property
    def limits(self) -> Limits:
        """As config.yaml has them by default."""
        return Limits(Capacity(self.budget, LESSON), HELD_OUT, 256, self.rate, REVIEW)


def taught(line: Line, setting: Setting) -> PatchBank:
    """The bank of the setup parts, which every learner starts from."""
    return taught_bank(named(line.setup), setting.budget, setting.seed)


def static(line: Line, setting: Setting, *, by_distance: bool) -> list[State]:
    """Taught once; `by_distance` alone it scores as PatchCore does."""
    bank = taught(line, setting)
    learned = calibrated(plain(bank) if by_distance else bank, named(line.setup), setting.rate)
    return [State(learned.bank, learned.threshold, 0, [])] * len(STAGES)


Update = Callable[[PatchBank, list[Part], list[Part]], PatchBank]


def _with_all_labels(line: Line, setting: Setting, update: Update) -> list[State]:
    """A learner that is told every label, and recalibrates on all good parts after each stage."""
    goods, states, labels = list(line.setup), [], 0
    start = bank = taught(line, setting)
    for stage in STAGES:
        answered = line.stage(stage)
        labels += len(answered)
        new = [p for p in answered if not p.shot.defective]
        goods = goods + new
        started = time.perf_counter()
        bank = with_scale_of(update(bank, new, goods), start)
        learned = calibrated(bank, named(goods), setting.rate)
        states.append(State(learned.bank, learned.threshold, labels, [time.perf_counter() - started]))
    return states


def append(line: Line, setting: Setting) -> list[State]:
    """Every patch of every good part, for ever."""
    return _with_all_labels(line, setting, lambda bank, new, _: extended(bank, named(new)))


def fifo(line: Line, setting: Setting) -> list[State]:
    """The newest patches."""

    def update(bank: PatchBank, new: list[Part], _: list[Part]) -> PatchBank:
        both = extended(bank, named(new))
        return of_rows(both, np.arange(both.size)[-setting.budget :])

    return _with_all_labels(line, setting, update)


def reservoir(line: Line, setting: Setting) -> list[State]:
    """A uniform sample of all patches seen (Vitter, "Random sampling with a reservoir", 1985)."""
    rng = np.random.default_rng(setting.seed)

    def update(_: PatchBank, __: list[Part], goods: list[Part]) -> PatchBank:
        everything = bank_of(named(goods))
        size = min(setting.budget, everything.size)
        return of_rows(everything, rng.choice(everything.size, size, replace=False))

    return _with_all_labels(line, setting, update)


def incremental_coreset(line: Line, setting: Setting) -> list[State]:
    """The k-centre coreset of the bank and the new patches together, of fixed size (after CADIC, 2025)."""

    def update(bank: PatchBank, new: list[Part], _: list[Part]) -> PatchBank:
        return coreset(extended(bank, named(new)), setting.budget, setting.seed)

    return _with_all_labels(line, setting, update)


def rebuild(line: Line, setting: Setting) -> list[State]:
    """The coreset of all good parts seen so far, from nothing: what learning can reach."""

    def update(_: PatchBank, __: list[Part], goods: list[Part]) -> PatchBank:
        return coreset(bank_of(named(goods)), setting.budget, setting.seed)

    return _with_all_labels(line, setting, update)
