"""What of a confirmed-good part may be learned: nothing like a known defect, nothing new that one part alone shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.defects import Defect
from memory.detector import Bounds, GoodPart
from memory.distances import nearest_squared, squared_distances
from memory.features import Patches
from memory.patch_bank.bank import PatchBank

DEFECT_PATCHES = 3


@dataclass(frozen=True)
class Admitted:
    """Patches (n, D) of a confirmed-good part that may be learned, and their numbers (n,) in its grid."""

    sample: str
    patches: Patches
    patch_index: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Screening:
    """What may be learned, and the samples that wait for a second part to show the same or that are refused whole."""

    admitted: list[Admitted]
    waiting: tuple[str, ...]
    refused: tuple[str, ...]


def screen(
    bank: PatchBank, defects: Sequence[Defect], goods: Sequence[GoodPart], bounds: Bounds, waiting: Collection[str]
) -> Screening:
    """Screen good parts: normalised distances above `bounds.novelty` are new, and parts that were `waiting` offer only
    what is still new.

    A part whose most anomalous patch lies nearer to a defect than to the bank is refused whole; of the others,
    patches that do so are left out, and those that would hide a defect's most anomalous patch. Only patches of a
    defect that alone would flag it count: the rest of its region, and all of one that is missed, may be normal
    material.
    """
    screened, refused = _apart_from_defects(bank, _defect_patches(bank, defects, bounds.threshold), goods, bounds)
    admitted, alone = _corroborated(screened, waiting)
    return Screening(admitted, alone, refused)


def most_anomalous_patches(bank: PatchBank, defect: Defect, bound: float) -> Patches:
    """The `DEFECT_PATCHES` patches (n, D) at most of the defect's region that stand out most, where their normalised
    distance exceeds `bound`."""
    distance = bank.masked(defect.features, defect.mask).distance
    worst = np.argsort(-distance, kind="stable")[:DEFECT_PATCHES]
    return defect.features.patches[worst[distance[worst] > bound]]


@dataclass(frozen=True)
class _Screened:
    """A good part's patches that are no defect's: which may be learned, which are new, and how near to one of these
    (squared) another part's patch must lie to show the same."""

    good: GoodPart
    allowed: npt.NDArray[np.bool_]
    new: npt.NDArray[np.bool_]
    reach: float


@dataclass(frozen=True)
class _DefectPatches:
    """Patches (n, D) of confirmed defects that each alone would flag theirs, and how near (n,), squared, to one of
    them a good patch would hide its defect: 0 but for the most anomalous of each defect, since it takes one."""

    patches: Patches
    reach: npt.NDArray[np.float32]


def _defect_patches(bank: PatchBank, defects: Sequence[Defect], threshold: float) -> _DefectPatches:
    patches, reach = [bank.good.vectors[:0]], [np.empty(0, dtype=np.float32)]
    for defect in defects:
        flagging = most_anomalous_patches(bank, defect, threshold)
        hidden = np.zeros(len(flagging), dtype=np.float32)
        hidden[:1] = (threshold * bank.masked(defect.features, defect.mask).scale) ** 2
        patches.append(flagging)
        reach.append(hidden)
    return _DefectPatches(np.concatenate(patches), np.concatenate(reach))


def _apart_from_defects(
    bank: PatchBank, defects: _DefectPatches, goods: Sequence[GoodPart], bounds: Bounds
) -> tuple[list[_Screened], tuple[str, ...]]:
    """Good parts by what the bank says of their patches, and the samples refused whole."""
    screened, refused = [], []
    for good in goods:
        scores = bank.normalised_distance(good.view.features)
        to_defects = squared_distances(good.view.features.patches, defects.patches)  # (P, n)
        nearer = np.asarray((to_defects < (scores.distance * scores.scale)[:, None] ** 2).any(axis=1))
        if nearer[scores.distance.argmax()]:
            refused.append(good.sample)
            continue
        allowed = ~nearer & np.asarray((to_defects > defects.reach).all(axis=1))
        new = allowed & (scores.distance > bounds.novelty)
        screened.append(_Screened(good, allowed, new, (bounds.novelty * scores.scale) ** 2))
    return screened, tuple(refused)


def _corroborated(screened: list[_Screened], waiting: Collection[str]) -> tuple[list[Admitted], tuple[str, ...]]:
    """What may be learned: what is not new, but of those who were `waiting`, and what is new but shown by a second
    part. And who waits from now on."""
    admitted, still_alone = [], []
    for one in screened:
        alone = one.new.copy()
        patches = one.good.view.features.patches
        seconds = [other.good.view.features.patches for other in screened if other.good.thing != one.good.thing]
        if alone.any() and seconds:
            alone[one.new] = nearest_squared(patches[one.new], np.concatenate(seconds)) > one.reach
        if alone.any():
            still_alone.append(one.good.sample)
        rows = np.flatnonzero((one.new if one.good.sample in waiting else one.allowed) & ~alone)
        if len(rows):
            admitted.append(Admitted(one.good.sample, patches[rows], rows))
    return admitted, tuple(still_alone)
