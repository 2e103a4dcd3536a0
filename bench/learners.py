"""Driftline and its peers as learners of the tile protocol: same features, same budget, same calibration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from memory.bank import LANDMARKS, Bank, gather, joined, subset, with_landmarks
from memory.contrasts import NeighbourCache
from memory.coreset import select
from policies.screening import GoodPart

from bench.line import Line, Part, State
from bench.protocol import STAGES
from drift.monitor import CALM
from memory.defects import ConfirmedDefects, Defect, worst_patches
from memory.version import CalibrationSet, Model, Snapshot, Version
from policies.admission import Hold, LabelledParts, Limits
from policies.ask import asked, audited
from policies.lesson import decide
from policies.threshold import Threshold, settle
from policies.verdict import Verdict
from policies.verdict import decide as judge

AUDIT_SHARE = 0.05
ASKS_A_STAGE = 8
REVIEW = 0.4
LESSON_AFTER = 10
Answer = Callable[[Part], str]


@dataclass(frozen=True)
class Setting:
    """What all learners share: the bank's budget, the false-reject rate asked for, the seed of random choices."""

    budget: int
    rate: float
    seed: int

    @property
    def limits(self) -> Limits:
        """As config.yaml has them by default."""
        return Limits(bank=self.budget, lesson=1000, held_out=200, replay=256, rate=self.rate, review=REVIEW)


def bank_of(parts: list[Part]) -> Bank:
    """All patches of these parts."""
    return gather([(p.name, p.features.patches) for p in parts])


def reduced(bank: Bank, setting: Setting) -> Bank:
    """The coreset of a bank within the budget, chosen from nothing."""
    nothing = np.empty((0, bank.vectors.shape[1]), dtype=np.float32)
    return subset(bank, select(nothing, bank.vectors, setting.budget, setting.seed))


def held(parts: list[Part]) -> CalibrationSet:
    """Parts as a calibration set."""
    return CalibrationSet(tuple(p.name for p in parts[-200:]), tuple(p.features for p in parts[-200:]))


def taught(line: Line, setting: Setting) -> Bank:
    """As `driftline teach` makes it, landmarks included, which every learner keeps."""
    raw = bank_of(line.setup)
    nothing = np.empty((0, raw.vectors.shape[1]), dtype=np.float32)
    kept = select(nothing, raw.vectors, setting.budget, setting.seed)
    return with_landmarks(subset(raw, kept), raw.vectors[kept[:LANDMARKS]], [p.features for p in line.setup])


def static(line: Line, setting: Setting, *, plain: bool) -> list[State]:
    """Taught once. `plain` scores by distance alone, as PatchCore does."""
    calibration = held(line.setup)
    bank = taught(line, setting)
    bank = replace(bank, landmarks=bank.landmarks[:0]) if plain else bank
    settled, threshold = settle(NeighbourCache(bank), ConfirmedDefects(), calibration, setting.rate)
    return [State(settled.bank, threshold, 0, [])] * len(STAGES)


Update = Callable[[Bank, list[Part], list[Part]], Bank]


def _with_all_labels(line: Line, setting: Setting, update: Update) -> list[State]:
    """A learner that is told every label, and recalibrates on all good parts after each stage."""
    goods, states, labels = list(line.setup), [], 0
    start = bank = taught(line, setting)
    for stage in STAGES:
        shown = line.stage(stage)
        labels += len(shown)
        new = [p for p in shown if not p.shot.defective]
        goods = goods + new
        started = time.perf_counter()
        bank = update(bank, new, goods)
        bank = replace(bank, landmarks=start.landmarks, scale_range=start.scale_range)
        settled, threshold = settle(NeighbourCache(bank), ConfirmedDefects(), held(goods), setting.rate)
        states.append(State(settled.bank, threshold, labels, [time.perf_counter() - started]))
    return states


def append(line: Line, setting: Setting) -> list[State]:
    """Every patch of every good part, for ever."""
    return _with_all_labels(line, setting, lambda bank, new, _: joined(bank, bank_of(new)))


def fifo(line: Line, setting: Setting) -> list[State]:
    """The newest patches."""

    def update(bank: Bank, new: list[Part], _: list[Part]) -> Bank:
        both = joined(bank, bank_of(new))
        return subset(both, np.arange(len(both))[-setting.budget :])

    return _with_all_labels(line, setting, update)


def reservoir(line: Line, setting: Setting) -> list[State]:
    """A uniform sample of all patches seen (Vitter, "Random sampling with a reservoir", 1985)."""
    rng = np.random.default_rng(setting.seed)

    def update(_: Bank, __: list[Part], goods: list[Part]) -> Bank:
        everything = bank_of(goods)
        size = min(setting.budget, len(everything))
        return subset(everything, rng.choice(len(everything), size, replace=False))

    return _with_all_labels(line, setting, update)


def incremental_coreset(line: Line, setting: Setting) -> list[State]:
    """The k-centre coreset of the bank and the new patches together, of fixed size (after CADIC, 2025)."""
    return _with_all_labels(line, setting, lambda bank, new, _: reduced(joined(bank, bank_of(new)), setting))


def rebuild(line: Line, setting: Setting) -> list[State]:
    """The coreset of all good parts seen so far, from nothing: what learning can reach."""
    return _with_all_labels(line, setting, lambda _, __, goods: reduced(bank_of(goods), setting))


def truth(part: Part) -> str:
    """An operator who is always right."""
    return "defect" if part.shot.defective else "good"


@dataclass(frozen=True)
class Record:
    """What became of the answers: their frames, those set aside or left waiting, and lessons that were held."""

    answers: dict[str, str]
    refused: set[str]
    waiting: set[str]
    held: int


def driftline(line: Line, setting: Setting, answer: Answer = truth) -> tuple[list[State], Record]:
    """The product's own lessons: it asks by its label budget, learns from answers through the gate."""
    settled, threshold = settle(
        NeighbourCache(taught(line, setting)), ConfirmedDefects(), held(line.setup), setting.rate
    )
    contents = Snapshot(settled.bank, ConfirmedDefects(), held(line.setup), {}, settled)
    head = Model(_version(1, threshold, ()), contents)
    by_name = {p.name: p for p in line.stream}
    states: list[State] = []
    answers: dict[str, str] = {}
    fresh: list[str] = []
    since = 0
    aside: set[str] = set()
    holds = 0
    for stage in STAGES:
        seconds, spent = [], 0
        shown = line.stage(stage)
        for i, part in enumerate(shown):
            score = head.snapshot.bank.score(part.features)
            said = judge(score.value, Threshold.of(head.version.threshold), CALM)
            audit = audited(part.shot.image.name, AUDIT_SHARE)
            used = spent / ASKS_A_STAGE
            if audit or asked(Verdict(said.verdict), said.p_value or 1.0, used, setting.limits.review):
                spent += not audit
                answers[part.name] = answer(part)
                fresh.append(part.name)
                since += 1
            if since >= LESSON_AFTER or (since and i == len(shown) - 1):
                since = 0
                started = time.perf_counter()
                confirmed = _confirmed([*head.version.waiting, *fresh], by_name, answers, head, aside)
                outcome, found = decide(head, confirmed, CALM, setting.limits, setting.seed + head.version.number)
                aside |= {sample for hold in found for sample in hold.blamed}
                if isinstance(outcome, Hold):
                    holds += 1
                else:
                    made = outcome.proposal
                    aside |= set(made.refused)
                    fresh = []
                    head = Model(_version(head.version.number + 1, made.threshold, made.waiting), made.snapshot)
                seconds.append(time.perf_counter() - started)
        states.append(State(head.snapshot.bank, Threshold.of(head.version.threshold), len(answers), seconds))
    return states, Record(answers, aside, set(head.version.waiting), holds)


def _version(number: int, threshold: Threshold, waiting: tuple[str, ...]) -> Version:
    """A manifest that lives only here."""
    return Version(
        number, None, None, "bench", "bench", "", "", {}, 0, threshold.to_json(), (), (), (), {}, 0, waiting=waiting
    )


def _confirmed(
    names: list[str], by_name: dict[str, Part], answers: dict[str, str], head: Model, aside: set[str]
) -> LabelledParts:
    """As `daemon.lesson` gathers it: without goods set aside; a defect's region is where it is most anomalous."""
    goods, random, defects = [], [], []
    for name in dict.fromkeys(names):
        part = by_name[name]
        if answers[name] == "defect":
            anomaly = head.snapshot.bank.normalised_distance(part.features).map
            defects.append(Defect(name, part.features, worst_patches(anomaly)))
        elif name not in aside:
            candidate = GoodPart(name, part.features, part.shot.part)
            (random if audited(part.shot.image.name, AUDIT_SHARE) else goods).append(candidate)
    return LabelledParts(tuple(goods), tuple(random), tuple(defects))
