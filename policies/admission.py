"""What may be learned from confirmed parts: the proposal of a next version, or a reason to hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drift.monitor import DriftState
from drift.regimes import TAUGHT, extended, learned
from memory.bank import Bank, gather, joined, subset
from memory.coreset import redundant, select
from memory.defects import Defect
from memory.version import Model, Snapshot
from policies.notices import paused
from policies.remedy import Remedy, apply_remedies, is_detected
from policies.screening import Admitted, GoodPart, screen
from policies.threshold import Threshold, leave_one_out_scores, settle

WAITING = 64


@dataclass(frozen=True)
class LabelledParts:
    """What operators confirmed since the base version, in the order of their answers.

    All may enter the bank; `goods` were asked about because they were flagged, `audited` goods were drawn at
    random and calibrate the threshold too.
    """

    goods: tuple[GoodPart, ...] = ()
    audited: tuple[GoodPart, ...] = ()
    defects: tuple[Defect, ...] = ()

    def __len__(self) -> int:
        return len(self.goods) + len(self.audited) + len(self.defects)

    def without(self, samples: tuple[str, ...]) -> LabelledParts:
        """The same without these good parts; a confirmed defect always counts."""
        aside = set(samples)
        return replace(
            self,
            goods=tuple(c for c in self.goods if c.sample not in aside),
            audited=tuple(c for c in self.audited if c.sample not in aside),
        )


@dataclass(frozen=True)
class Limits:
    """`bank` patches at most, `lesson` new patches a lesson, `held_out` goods, `replay` defects, the false-reject
    `rate`, and the `review` rate: what fewer good parts than that show is new until two parts show it."""

    bank: int
    lesson: int
    held_out: int
    replay: int
    rate: float
    review: float


@dataclass(frozen=True)
class Proposal:
    """A complete next version that has not been published. `waiting` are confirmed parts with patches that no
    other confirmed part shows yet."""

    base: Model
    snapshot: Snapshot
    threshold: Threshold
    added: tuple[str, ...]
    removed: tuple[str, ...]
    refused: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Hold:
    """Nothing is learned, and why. `blamed` are the samples at fault, to be set aside."""

    reason: str
    blamed: tuple[str, ...] = ()


def propose(base: Model, confirmed: LabelledParts, drift: DriftState, limits: Limits, seed: int) -> Proposal | Hold:
    """The next version from what was confirmed, deterministic in its arguments.

    What is new, beyond what all but `limits.review` of good parts show, is learned once two confirmed parts show it:
    one wrong answer teaches nothing, and an oddity that never returns need not be known. Such parts wait, and are
    to be among the `confirmed` of later lessons, which learn only what is still new of them: the rest had its
    lesson, and what a remedy took out of the bank does not come back.

    What good parts may teach at all says `policies.screening`. A newly reported defect that is missed, and one that
    what is learned would hide, are remedied where few patches are in the way (`policies.remedy`).

    Holds while the camera is at fault or the scene beyond trust (`policies.notices`), and when nothing would change.
    """
    why = paused(drift)
    if why:
        return Hold(f"admission is paused: {why}")
    replay = base.snapshot.confirmed_defects
    for defect in confirmed.defects:
        replay = replay.remember(defect, limits.replay)
    threshold = Threshold.of(base.version.threshold)
    leave_one_out_scores(
        base.snapshot.contrasts, base.snapshot.calibration_set
    )  # so that they need only be followed from now on
    known = base.snapshot.contrasts.copy()  # what is asked of candidates is not to be remembered with the base
    seen = screen(
        known,
        replay,
        (*confirmed.goods, *confirmed.audited),
        threshold.value,
        threshold.at(limits.review),
        base.version.waiting,
    )
    calibrating = {*base.snapshot.calibration_set.samples, *seen.refused}
    fresh = tuple(c for c in confirmed.audited if c.sample not in calibrating)
    held_out = base.snapshot.calibration_set.grown(
        [c.sample for c in fresh],
        [c.features for c in fresh],
        [c.seen.regime if c.seen else TAUGHT for c in fresh],
        limits.held_out,
    )
    before = {*seen.refused, *base.version.waiting}  # who waits was counted by the lesson that let it wait
    goods = (c for c in (*confirmed.goods, *confirmed.audited) if c.sample not in before)
    regimes = extended(base.snapshot.regimes, [c.seen for c in goods if c.seen])
    grown = _extended(base.snapshot.bank, seen.admitted, limits, seed)
    settled, after = settle(known.rebased(grown), replay, held_out, limits.rate)
    reported = {defect.sample for defect in confirmed.defects}
    owed = [d for d in replay.defects if d.sample in reported or is_detected(known, d, threshold)]
    kept, remedies = apply_remedies(settled, held_out, owed, after)
    if remedies:
        settled, after = settle(kept, replay, held_out, limits.rate)
    bank = settled.bank
    same = replay == base.snapshot.confirmed_defects and not fresh and not learned(base.snapshot.regimes, regimes)
    if grown is base.snapshot.bank and not remedies and same:
        if seen.refused:
            return Hold("every confirmed part lies nearer to a confirmed defect than to the bank", seen.refused)
        if seen.waiting:
            return Hold(f"{len(seen.waiting)} confirmed parts show something new, each alone: it takes two")
        return Hold("nothing new to learn: what was confirmed is covered already")
    return Proposal(
        base=base,
        snapshot=Snapshot(bank, replay, held_out, base.snapshot.reference, settled, regimes),
        threshold=after,
        added=tuple(s for s in bank.samples if s not in set(base.snapshot.bank.samples)),
        removed=tuple(s for s in base.snapshot.bank.samples if s not in set(bank.samples)),
        refused=seen.refused,
        waiting=seen.waiting[-WAITING:],
        remedies=remedies,
    )


def _extended(bank: Bank, admitted: list[Admitted], limits: Limits, seed: int) -> Bank:
    """The bank with the most novel admitted patches; over budget, the most redundant leave, those in less use first.

    Never age: what was learned in an old regime stays represented, since nothing else lies near it.
    """
    if not admitted:
        return bank
    candidates = gather([(a.sample, a.patches) for a in admitted], [a.place for a in admitted])
    rows = select(bank.vectors, candidates.vectors, min(limits.lesson, limits.bank), seed)
    if len(rows) == 0:
        return bank
    union = joined(bank, subset(candidates, rows))
    while len(union) > limits.bank:  # more than one round only where the budget was lowered to less than half
        leaving, _ = redundant(union.vectors, union.usage_count, len(union) - limits.bank)
        union = subset(union, np.delete(np.arange(len(union)), leaving))
    return union
