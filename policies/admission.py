"""What may be learned from confirmed parts: the proposal of a next version, or a reason to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from drift.monitor import DriftState, Trust
from memory.bank import Bank, gather, joined, subset
from memory.coreset import nearest_squared, redundant, select, squared_distances
from memory.features import Features, Patches
from memory.replay import Defect, Replay
from memory.version import Contents, HeldOut, Model
from policies.remedy import Remedy, remedy, stands_out
from policies.threshold import Threshold, settle, telling

WAITING = 64


@dataclass(frozen=True)
class Candidate:
    """A part that an operator confirmed as good; `sample` is its frame id, `part` names the thing photographed,
    the sample itself where that is not known."""

    sample: str
    features: Features
    part: str = ""


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
    contents: Contents
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


def propose(base: Model, confirmed: Confirmed, drift: DriftState, limits: Limits, seed: int) -> Proposal | Hold:
    """The next version from what was confirmed, deterministic in its arguments.

    What is new, beyond what all but `limits.review` of good parts show, is learned once two confirmed parts show it:
    one wrong answer teaches nothing, and an oddity that never returns need not be known. Such parts wait, and are
    to be among the `confirmed` of later lessons, which learn only what is still new of them: the rest had its
    lesson, and what a remedy took out of the bank does not come back.

    A good part whose most anomalous patch lies nearer to a confirmed defect than to the bank is refused whole; of
    the others, patches that do so are left out, and those that would hide a defect's most anomalous patch. Only
    patches of a defect that alone would flag it count: the rest of its region, and all of one that is missed, may be
    normal material. Patches that explain a newly reported, missed defect away leave the bank, where that is enough
    to find it (`policies.remedy`).

    Holds while the scene is beyond trust, and when nothing would change.
    """
    if drift.trust is Trust.UNTRUSTED:
        return Hold("admission is paused: the scene has drifted beyond trust; check light, lens and camera first")
    replay = base.contents.replay
    for defect in confirmed.defects:
        replay = replay.remember(defect, limits.replay)
    threshold = Threshold.of(base.version.threshold)
    defects = _known(base.contents.bank, replay, threshold.value)
    goods = (*confirmed.goods, *confirmed.audited)
    screened, refused = _screen(base.contents.bank, defects, goods, threshold.at(limits.review))
    admitted, waiting = _corroborated(screened, set(base.version.waiting))
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
        if waiting:
            return Hold(f"{len(waiting)} confirmed parts show something new, each alone: it takes two")
        return Hold("nothing new to learn: what was confirmed is covered already")
    bank, threshold = settle(bank, replay, held_out, limits.rate)
    return Proposal(
        base=base,
        contents=Contents(bank, replay, held_out, base.contents.reference),
        threshold=threshold,
        added=tuple(s for s in bank.samples if s not in set(base.contents.bank.samples)),
        removed=tuple(s for s in base.contents.bank.samples if s not in set(bank.samples)),
        refused=refused,
        waiting=waiting[-WAITING:],
        remedies=remedies,
    )


def _remedied(
    bank: Bank, held_out: HeldOut, defects: Sequence[Defect], replay: Replay, threshold: Threshold
) -> tuple[Bank, tuple[Remedy, ...]]:
    """The bank without what hides these defects, one after the other, and what was done for each."""
    done: list[Remedy] = []
    missed = [defect for defect in defects if not stands_out(bank, defect, threshold)]
    if not missed:
        return bank, ()
    # Fewer patches leave every distance as long or longer, so what stands out does so after each remedy too.
    found = [defect for defect in replay.defects if stands_out(bank, defect, threshold)]
    for defect in missed:
        made = None if stands_out(bank, defect, threshold) else remedy(bank, held_out, defect, threshold, found)
        if made is not None:
            bank = made.bank
            found.append(defect)
            done.append(made)
    return bank, tuple(done)


@dataclass(frozen=True)
class _Screened:
    """A good part's patches that are no defect's: which may be learned, which are new, and how near to one of these
    (squared) another part's patch must lie to show the same."""

    good: Candidate
    allowed: npt.NDArray[np.bool_]
    new: npt.NDArray[np.bool_]
    reach: float


@dataclass(frozen=True)
class _Known:
    """Patches (n, D) of confirmed defects that each alone would flag theirs, and how near (n,), squared, to one of
    them a good patch would hide its defect: 0 but for the most anomalous of each defect, since it takes one."""

    patches: Patches
    reach: npt.NDArray[np.float32]


def _known(bank: Bank, replay: Replay, bound: float) -> _Known:
    patches, reach = [bank.vectors[:0]], [np.empty(0, dtype=np.float32)]
    for defect in replay.defects:
        told = telling(bank, defect, bound)
        hidden = np.zeros(len(told), dtype=np.float32)
        hidden[:1] = (bound * bank.level(defect.features)) ** 2
        patches.append(told)
        reach.append(hidden)
    return _Known(np.concatenate(patches), np.concatenate(reach))


def _screen(
    bank: Bank, defects: _Known, goods: Sequence[Candidate], bound: float
) -> tuple[list[_Screened], tuple[str, ...]]:
    """Good parts by what the bank says of their patches, and the samples refused whole."""
    screened, refused = [], []
    for good in goods:
        patches, found = good.features.patches, bank.contrast(good.features)
        contrast = found.map.reshape(-1)  # (rows, columns) -> (P,)
        apart = squared_distances(patches, defects.patches)  # (P, n)
        nearer = np.asarray((apart < (contrast * found.level)[:, None] ** 2).any(axis=1))
        if nearer[contrast.argmax()]:
            refused.append(good.sample)
            continue
        allowed = ~nearer & np.asarray((apart > defects.reach).all(axis=1))
        screened.append(_Screened(good, allowed, allowed & (contrast > bound), (bound * found.level) ** 2))
    return screened, tuple(refused)


def _corroborated(screened: list[_Screened], before: set[str]) -> tuple[list[Admitted], tuple[str, ...]]:
    """What may be learned: what is not new, but of those who waited `before`, and what is new but shown by a second
    part. And who else waits."""
    admitted, waiting = [], []
    for one in screened:
        alone = one.new.copy()
        patches = one.good.features.patches
        seconds = [other.good.features.patches for other in screened if _part(other.good) != _part(one.good)]
        if alone.any() and seconds:
            alone[one.new] = nearest_squared(patches[one.new], np.concatenate(seconds)) > one.reach
        if alone.any():
            waiting.append(one.good.sample)
        rows = np.flatnonzero((one.new if one.good.sample in before else one.allowed) & ~alone)
        if len(rows):
            admitted.append(Admitted(one.good.sample, patches[rows], rows))
    return admitted, tuple(waiting)


def _part(good: Candidate) -> str:
    return good.part or good.sample


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
