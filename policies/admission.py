"""What may be learned from confirmed parts: the proposal of a next version, or a reason to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from drift.monitor import DriftState, Trust
from memory.bank import Bank, gather, joined, subset
from memory.coreset import nearest_squared, redundant, select
from memory.features import Features, Patches
from memory.replay import Defect, Replay
from memory.version import Contents, HeldOut, Model
from policies.remedy import Remedy, remedy, stands_out
from policies.threshold import Threshold, settle


@dataclass(frozen=True)
class Candidate:
    """A part that an operator confirmed as good; `sample` is its frame id."""

    sample: str
    features: Features


@dataclass(frozen=True)
class Confirmed:
    """What operators confirmed since the base version, in the order of their answers.

    All may enter the bank; `goods` were asked about because they were flagged, `audited` goods were drawn at
    random and calibrate the threshold too.
    """

    goods: tuple[Candidate, ...] = ()
    audited: tuple[Candidate, ...] = ()
    defects: tuple[Defect, ...] = ()

    def __len__(self) -> int:
        return len(self.goods) + len(self.audited) + len(self.defects)

    def without(self, samples: tuple[str, ...]) -> Confirmed:
        """The same without these good parts; a confirmed defect always counts."""
        aside = set(samples)
        return replace(
            self,
            goods=tuple(c for c in self.goods if c.sample not in aside),
            audited=tuple(c for c in self.audited if c.sample not in aside),
        )


@dataclass(frozen=True)
class Admitted:
    """Patches (n, D) of a confirmed-good part that may be learned, and their numbers (n,) in its grid."""

    sample: str
    patches: Patches
    place: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """`bank` patches at most, `lesson` new patches a lesson, `held_out` goods, `replay` defects, and the
    false-reject `rate`."""

    bank: int
    lesson: int
    held_out: int
    replay: int
    rate: float


@dataclass(frozen=True)
class Proposal:
    """A complete next version that has not been published."""

    base: Model
    contents: Contents
    threshold: Threshold
    added: tuple[str, ...]
    removed: tuple[str, ...]
    refused: tuple[str, ...]
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Hold:
    """Nothing is learned, and why. `blamed` are the samples at fault, to be set aside."""

    reason: str
    blamed: tuple[str, ...] = ()


def propose(base: Model, confirmed: Confirmed, drift: DriftState, limits: Limits, seed: int) -> Proposal | Hold:
    """The next version from what was confirmed, deterministic in its arguments.

    A good part whose most anomalous patch lies nearer to a confirmed defect than to the bank is refused whole; of
    the others, patches that do so are left out. Only patches of a defect that alone would flag it count: the rest
    of its region, and all of one that is missed, may be normal material. Patches that explain a newly reported,
    missed defect away leave the bank, where that is enough to find it (`policies.remedy`).

    Holds while the scene is beyond trust, and when nothing would change.
    """
    if drift.trust is Trust.UNTRUSTED:
        return Hold("admission is paused: the scene has drifted beyond trust; check light, lens and camera first")
    replay = base.contents.replay
    for defect in confirmed.defects:
        replay = replay.remember(defect, limits.replay)
    threshold = Threshold.of(base.version.threshold)
    defects = _telling(base.contents.bank, replay, threshold)
    admitted, refused = _screen(base.contents.bank, defects, (*confirmed.goods, *confirmed.audited))
    bank = _extended(base.contents.bank, admitted, limits, seed)
    known = {*base.contents.held_out.samples, *refused}
    fresh = tuple(c for c in confirmed.audited if c.sample not in known)
    held_out = HeldOut(
        (*base.contents.held_out.samples, *(c.sample for c in fresh))[-limits.held_out :],
        (*base.contents.held_out.features, *(c.features for c in fresh))[-limits.held_out :],
    )
    bank, remedies = _remedied(bank, held_out, confirmed.defects, replay, threshold)
    if bank is base.contents.bank and replay == base.contents.replay and not fresh:
        if refused:
            return Hold("every confirmed part lies nearer to a confirmed defect than to the bank", refused)
        return Hold("nothing new to learn: what was confirmed is covered already")
    bank, threshold = settle(bank, held_out, limits.rate)
    return Proposal(
        base=base,
        contents=Contents(bank, replay, held_out, base.contents.reference),
        threshold=threshold,
        added=tuple(s for s in bank.samples if s not in set(base.contents.bank.samples)),
        removed=tuple(s for s in base.contents.bank.samples if s not in set(bank.samples)),
        refused=refused,
        remedies=remedies,
    )


def _remedied(
    bank: Bank, held_out: HeldOut, defects: Sequence[Defect], replay: Replay, threshold: Threshold
) -> tuple[Bank, tuple[Remedy, ...]]:
    """The bank without what hides these defects, one after the other, and what was done for each."""
    done: list[Remedy] = []
    for defect in defects:
        if stands_out(bank, defect, threshold):
            continue
        made = remedy(bank, held_out, defect, threshold, replay.defects)
        if made is not None:
            bank = made.bank
            done.append(made)
    return bank, tuple(done)


def _telling(bank: Bank, replay: Replay, threshold: Threshold) -> Patches | None:
    """The patches (n, D) of defects that exceed the threshold by themselves, or None without any."""
    telling = [
        defect.features.patches[((bank.score(defect.features).map > threshold.value) & defect.region).reshape(-1)]
        for defect in replay.defects  # each (rows, columns) -> (P,)
    ]
    return np.concatenate(telling) if sum(map(len, telling)) else None


def _screen(bank: Bank, defects: Patches | None, goods: Sequence[Candidate]) -> tuple[list[Admitted], tuple[str, ...]]:
    """Admissible patches by sample, and the samples refused whole."""
    admitted, refused = [], []
    for good in goods:
        patches, found = good.features.patches, bank.score(good.features)
        suspect = np.zeros(len(patches), dtype=bool)
        if defects is not None:
            own = found.map.reshape(-1) * found.level  # (rows, columns) -> (P,)
            suspect = nearest_squared(patches, defects) < own**2
        if suspect[found.map.argmax()]:
            refused.append(good.sample)
        else:
            admitted.append(Admitted(good.sample, patches[~suspect], np.flatnonzero(~suspect)))
    return admitted, tuple(refused)


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
        leaving, _ = redundant(union.vectors, union.use, len(union) - limits.bank)
        union = subset(union, np.delete(np.arange(len(union)), leaving))
    return union
