"""Screening of confirmed good parts: nothing like a known defect is learned, and nothing new that only one part
shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.defects import Defect
from memory.detector import Bounds, GoodPart
from memory.distances import Vectors, nearest_squared, squared_distances
from memory.features import Patches
from memory.patch_bank.bank import PatchBank

DEFECT_PATCHES = 3
NEW_SHARE = 0.1
CORROBORATING = 2  # confirmed parts that show the same


@dataclass(frozen=True)
class Admitted:
    """The patches (n, D) of a good part that may be learned, and their numbers (n,) in its grid."""

    sample: str
    patches: Patches
    patch_index: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Screening:
    """The outcome of screening: the patches admitted, the samples that wait until a second part shows the same, and
    those refused whole."""

    admitted: list[Admitted]
    waiting: tuple[str, ...]
    refused: tuple[str, ...]


def screen(
    bank: PatchBank, defects: Sequence[Defect], goods: Sequence[GoodPart], bounds: Bounds, waiting: Collection[str]
) -> Screening:
    """Screen good parts: patches with normalised distances above `bounds.novelty` are new, and of parts that were
    `waiting` only new patches are learned.

    A patch is like a defect that lies nearer to it than the bank and than all but one of the other confirmed parts:
    what several parts show, beside defects of their own, is their material. Such patches are left out, and those that
    would hide a defect's most anomalous patch. A part whose most anomalous patch is like a defect is refused whole; one
    of a new condition, which is new in more than `NEW_SHARE` of its patches, waits for a second part instead.

    Of a defect, only patches count that would flag it by themselves, also beside what two of the good parts show: the
    rest of its region, and all of a missed one's, may be normal material.
    """
    others = _Others.of(goods)
    flagging = _defect_patches(bank, defects, others, bounds.threshold)
    screened, refused = _apart_from_defects(bank, flagging, goods, others, bounds)
    admitted, still_waiting = _corroborated(screened, waiting)
    return Screening(admitted, still_waiting, refused)


def most_anomalous_patches(bank: PatchBank, defect: Defect, bound: float) -> Patches:
    """The at most `DEFECT_PATCHES` most anomalous patches (n, D) of the defect's region, of those whose normalised
    distance exceeds `bound`."""
    return _flagging(bank, defect, bound)[:DEFECT_PATCHES]


@dataclass(frozen=True)
class _Others:
    """The patches of a lesson's good parts, by the thing photographed."""

    by_thing: dict[str, Patches]

    @classmethod
    def of(cls, goods: Sequence[GoodPart]) -> _Others:
        things: dict[str, list[Patches]] = {}
        for good in goods:
            things.setdefault(good.thing, []).append(good.view.features.patches)
        return cls({thing: np.concatenate(patches) for thing, patches in things.items()})

    def shown(self, patches: Patches, times: int, but: str = "") -> Vectors:
        """Squared distances (n,) to the nearest patches of the thing that is the `times`-th nearest, `but` for this
        one; inf where there are not so many."""
        others = [theirs for thing, theirs in self.by_thing.items() if thing != but]
        if len(others) < times or not len(patches):
            return np.full(len(patches), np.inf, dtype=np.float32)
        if times == 1:
            return nearest_squared(patches, np.concatenate(others))
        each = np.stack([nearest_squared(patches, theirs) for theirs in others])  # (things, n)
        nth: Vectors = np.partition(each, times - 1, axis=0)[times - 1]
        return nth


@dataclass(frozen=True)
class _Screened:
    """A good part that is not refused: which patches are `allowed`, which of these are `new` and need a second part
    that shows the same, whether a new one is `like_defect`, and the squared distance within which another part's patch
    shows the same."""

    good: GoodPart
    allowed: npt.NDArray[np.bool_]
    new: npt.NDArray[np.bool_]
    like_defect: bool
    reach: float


@dataclass(frozen=True)
class _DefectPatches:
    """Patches (n, D) of confirmed defects that each would flag its defect alone, and the squared distance (n,) within
    which a good patch would hide it: 0 except for the most anomalous patch of each defect, since one is enough."""

    patches: Patches
    reach: npt.NDArray[np.float32]


def _defect_patches(bank: PatchBank, defects: Sequence[Defect], others: _Others, threshold: float) -> _DefectPatches:
    patches, reach = [bank.good.vectors[:0]], [np.empty(0, dtype=np.float32)]
    for defect in defects:
        scale = bank.masked(defect.features, defect.mask).scale
        flagging = _beside(others, scale, _flagging(bank, defect, threshold), threshold)[:DEFECT_PATCHES]
        hidden = np.zeros(len(flagging), dtype=np.float32)
        hidden[:1] = (threshold * scale) ** 2
        patches.append(flagging)
        reach.append(hidden)
    return _DefectPatches(np.concatenate(patches), np.concatenate(reach))


def _flagging(bank: PatchBank, defect: Defect, bound: float) -> Patches:
    """The patches (n, D) of the defect's region whose normalised distance exceeds `bound`, the most anomalous first."""
    distance = bank.masked(defect.features, defect.mask).distance
    worst = np.argsort(-distance, kind="stable")
    return defect.features.patches[worst[distance[worst] > bound]]


def _beside(others: _Others, scale: float, flagging: Patches, threshold: float) -> Patches:
    """Those of a defect's flagging patches that would flag it beside what two of the good parts show, the most
    anomalous first; all as they are where none would, since then the good parts show the defect too."""
    shown = np.sqrt(others.shown(flagging, CORROBORATING)) / scale
    telling = shown > threshold
    return flagging[telling] if telling.any() else flagging


def _apart_from_defects(
    bank: PatchBank, defects: _DefectPatches, goods: Sequence[GoodPart], others: _Others, bounds: Bounds
) -> tuple[list[_Screened], tuple[str, ...]]:
    """The good parts that are not refused, and the samples that are."""
    screened, refused = [], []
    for good in goods:
        patches = good.view.features.patches
        scores = bank.normalised_distance(good.view.features)
        new = scores.distance > bounds.novelty
        to_good = (scores.distance * scores.scale) ** 2
        to_defects = squared_distances(patches, defects.patches)  # (P, n)
        to_defect = to_defects.min(axis=1, initial=np.inf)
        like = to_defect < to_good
        to_good[like] = np.minimum(to_good[like], others.shown(patches[like], CORROBORATING, good.thing))
        like &= to_defect < to_good
        if like[to_good.argmax()] and new.mean() <= NEW_SHARE:
            refused.append(good.sample)
            continue
        allowed = ~like & np.asarray((to_defects > defects.reach).all(axis=1))
        reach, like_defect = (bounds.novelty * scores.scale) ** 2, bool((new & like).any())
        screened.append(_Screened(good, allowed, new & allowed, like_defect, reach))
    return screened, tuple(refused)


def _corroborated(screened: list[_Screened], waiting: Collection[str]) -> tuple[list[Admitted], tuple[str, ...]]:
    """The patches admitted, and the samples that wait from now on. Admitted are new patches that a second part shows
    too, and, of parts that were not `waiting`, those that are not new."""
    admitted, still_waiting = [], []
    others = _Others.of([one.good for one in screened])
    for one in screened:
        alone = one.new.copy()
        patches = one.good.view.features.patches
        alone[one.new] = others.shown(patches[one.new], 1, one.good.thing) > one.reach
        if alone.any() or one.like_defect:
            still_waiting.append(one.good.sample)
        rows = np.flatnonzero((one.new if one.good.sample in waiting else one.allowed) & ~alone)
        if len(rows):
            admitted.append(Admitted(one.good.sample, patches[rows], one.good.view.features.cells[rows]))
    return admitted, tuple(still_waiting)
