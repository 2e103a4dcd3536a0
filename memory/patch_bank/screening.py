"""Screening of confirmed good parts: nothing like a known defect is learned, and nothing new that only one part
shows."""

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

    A part whose most anomalous patch lies nearer to a defect than to the bank is refused whole; of other parts, such
    patches are left out, and those that would hide a defect's most anomalous patch. Of a defect, only patches count
    that would flag it by themselves: the rest of its region, and all of a missed one's, may be normal material.
    """
    screened, refused = _apart_from_defects(bank, _defect_patches(bank, defects, bounds.threshold), goods, bounds)
    admitted, still_waiting = _corroborated(screened, waiting)
    return Screening(admitted, still_waiting, refused)


def most_anomalous_patches(bank: PatchBank, defect: Defect, bound: float) -> Patches:
    """The at most `DEFECT_PATCHES` most anomalous patches (n, D) of the defect's region, of those whose normalised
    distance exceeds `bound`."""
    distance = bank.masked(defect.features, defect.mask).distance
    worst = np.argsort(-distance, kind="stable")[:DEFECT_PATCHES]
    return defect.features.patches[worst[distance[worst] > bound]]


@dataclass(frozen=True)
class _Screened:
    """A good part that is not refused: which patches are `allowed`, which of these are `new`, and the squared distance
    within which another part's patch shows the same as a new one."""

    good: GoodPart
    allowed: npt.NDArray[np.bool_]
    new: npt.NDArray[np.bool_]
    reach: float


@dataclass(frozen=True)
class _DefectPatches:
    """Patches (n, D) of confirmed defects that each would flag its defect alone, and the squared distance (n,) within
    which a good patch would hide it: 0 except for the most anomalous patch of each defect, since one is enough."""

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
    """The good parts that are not refused, and the samples that are."""
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
    """The patches admitted, and the samples that wait from now on. Admitted are new patches that a second part shows
    too, and, of parts that were not `waiting`, those that are not new."""
    admitted, still_waiting = [], []
    for one in screened:
        alone = one.new.copy()
        patches = one.good.view.features.patches
        seconds = [other.good.view.features.patches for other in screened if other.good.thing != one.good.thing]
        if alone.any() and seconds:
            alone[one.new] = nearest_squared(patches[one.new], np.concatenate(seconds)) > one.reach
        if alone.any():
            still_waiting.append(one.good.sample)
        rows = np.flatnonzero((one.new if one.good.sample in waiting else one.allowed) & ~alone)
        if len(rows):
            admitted.append(Admitted(one.good.sample, patches[rows], one.good.view.features.cells[rows]))
    return admitted, tuple(still_waiting)
