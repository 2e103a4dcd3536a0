"""Driftline as a learner of the tile protocol: the product's own questions and lessons, without its daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.lib.bank import calibrated, calibration_set, confirmed_defect
from bench.lib.learners import Setting, taught
from bench.lib.line import Line, Part, State, named
from bench.lib.protocol import STAGES
from drift.monitor import CALM
from memory.defects import ConfirmedDefects
from memory.detector import GoodPart
from memory.features import View
from memory.patch_bank.bank import PatchBank
from memory.version import Model, Snapshot, Version
from policies import lesson, verdict
from policies.admission import Hold, LabelledParts
from policies.ask import asked, audited
from policies.threshold import Threshold
from policies.verdict import Verdict

AUDIT_SHARE = 0.05
ASKS_A_STAGE = 8
LESSON_AFTER = 10
Answer = Callable[[Part], str]


def truth(part: Part) -> str:
    """An operator who is always right."""
    return "defect" if part.shot.defective else "good"


@dataclass(frozen=True)
class Record:
    """What became of the answers: their frames, those set aside or left waiting, and lessons that were held."""

    answers: dict[str, str]
    refused: set[str]
    waiting: set[str]
    holds: int


def driftline(line: Line, setting: Setting, answer: Answer = truth) -> tuple[list[State], Record]:
    """The product's own lessons: it asks by its label budget, learns from answers through the gate."""
    head = _first(line, setting)
    by_name = {p.name: p for p in line.stream}
    states: list[State] = []
    answers: dict[str, str] = {}
    fresh: list[str] = []
    since = 0
    aside: set[str] = set()
    holds = 0
    for stage in STAGES:
        seconds, spent = [], 0
        parts = line.stage(stage)
        for number, part in enumerate(parts):
            audit = audited(part.shot.image.name, AUDIT_SHARE)
            if audit or _asked(head, part, spent / ASKS_A_STAGE, setting):
                spent += not audit
                answers[part.name] = answer(part)
                fresh.append(part.name)
                since += 1
            if since >= LESSON_AFTER or (since and number == len(parts) - 1):
                since = 0
                started = time.perf_counter()
                confirmed = _confirmed([*head.version.waiting, *fresh], by_name, answers, head, aside)
                outcome, held_back = lesson.decide(
                    head, confirmed, CALM, setting.limits, setting.seed + head.version.number
                )
                aside |= {sample for hold in held_back for sample in hold.blamed}
                if isinstance(outcome, Hold):
                    holds += 1
                else:
                    learned = outcome.proposal
                    aside |= set(learned.refused)
                    fresh = []
                    head = _version(head.version.number + 1, learned.snapshot, learned.threshold, learned.waiting)
                seconds.append(time.perf_counter() - started)
        states.append(State(_bank(head), Threshold.of(head.version.threshold), len(answers), seconds))
    return states, Record(answers, aside, set(head.version.waiting), holds)


def _bank(head: Model) -> PatchBank:
    bank = head.snapshot.detector
    assert isinstance(bank, PatchBank)  # noqa: S101  # nothing else is taught here
    return bank


def _first(line: Line, setting: Setting) -> Model:
    """What teaching makes of the setup parts."""
    setup = named(line.setup)
    first = calibrated(taught(line, setting), setup, setting.rate)
    snapshot = Snapshot(first.bank, ConfirmedDefects(), calibration_set(setup), {})
    return _version(1, snapshot, first.threshold, ())


def _version(number: int, snapshot: Snapshot, threshold: Threshold, waiting: tuple[str, ...]) -> Model:
    """A version whose manifest lives only here."""
    manifest = Version(
        number, None, None, "bench", "bench", "", "", {}, 0, threshold.to_json(), (), (), (), {}, 0, waiting=waiting
    )
    return Model(manifest, snapshot)


def _asked(head: Model, part: Part, used: float, setting: Setting) -> bool:
    """Whether the product asks about a part, with a share of the stage's label budget `used`."""
    score = head.snapshot.detector.score(View(part.features))
    judged = verdict.decide(score.value, Threshold.of(head.version.threshold), CALM)
    reviewed = 0.0  # the stream is shorter than what this share is counted over
    return asked(Verdict(judged.verdict), judged.p_value or 1.0, used, reviewed, setting.limits.review_rate)


def _confirmed(
    names: list[str], by_name: dict[str, Part], answers: dict[str, str], head: Model, aside: set[str]
) -> LabelledParts:
    """As `daemon/learning/lesson.py` gathers it: without goods set aside."""
    goods, random, defects = [], [], []
    for name in dict.fromkeys(names):
        part = by_name[name]
        if answers[name] == "defect":
            defects.append(confirmed_defect(name, part.features, _bank(head)))
        elif name not in aside:
            candidate = GoodPart(name, View(part.features), part.shot.part)
            (random if audited(part.shot.image.name, AUDIT_SHARE) else goods).append(candidate)
    return LabelledParts(tuple(goods), tuple(random), tuple(defects))
