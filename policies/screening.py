"""What of a confirmed-good part may be learned: nothing like a known defect, nothing new that one part alone shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drift.regimes import Sighting
from memory.bank import Bank
from memory.contrasts import NeighbourCache
from memory.coreset import nearest_squared, squared_distances
from memory.defects import ConfirmedDefects
from memory.features import Features, Patches
from policies.threshold import most_anomalous_patches


@dataclass(frozen=True)
class GoodPart:
    """A part that an operator confirmed as good; `sample` is its frame id, `part` names the thing photographed,
    the sample itself where that is not known. `seen` is how the scene was then, None where that is not known."""

    sample: str
    features: Features
    part: str = ""
    seen: Sighting | None = None


@dataclass(frozen=True)
class Admitted:
    """Patches (n, D) of a confirmed-good part that may be learned, and their numbers (n,) in its grid."""

    sample: str
    patches: Patches
    place: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Screening:
    """What may be learned, and the samples that wait for a second part to show the same or that are refused whole."""

    admitted: list[Admitted]
    waiting: tuple[str, ...]
    refused: tuple[str, ...]


def screen(
    contrasts: NeighbourCache,
    replay: ConfirmedDefects,
    goods: Sequence[GoodPart],
    value: float,
    bound: float,
    before: Collection[str],
) -> Screening:
    """Screen good parts under the threshold `value`; contrasts above `bound` are new, and parts that waited `before`
    offer only what is still new.

    A part whose most anomalous patch lies nearer to a defect than to the bank is refused whole; of the others,
    patches that do so are left out, and those that would hide a defect's most anomalous patch. Only patches of a
    defect that alone would flag it count: the rest of its region, and all of one that is missed, may be normal
    material.
    """
    apart, refused = _told_apart(contrasts.bank, _known(contrasts, replay, value), goods, bound)
    admitted, waiting = _corroborated(apart, before)
    return Screening(admitted, waiting, refused)


@dataclass(frozen=True)
class _Screened:
    """A good part's patches that are no defect's: which may be learned, which are new, and how near to one of these
    (squared) another part's patch must lie to show the same."""

    good: GoodPart
    allowed: npt.NDArray[np.bool_]
    new: npt.NDArray[np.bool_]
    reach: float


@dataclass(frozen=True)
class _Known:
    """Patches (n, D) of confirmed defects that each alone would flag theirs, and how near (n,), squared, to one of
    them a good patch would hide its defect: 0 but for the most anomalous of each defect, since it takes one."""

    patches: Patches
    reach: npt.NDArray[np.float32]


def _known(contrasts: NeighbourCache, replay: ConfirmedDefects, bound: float) -> _Known:
    patches, reach = [contrasts.bank.vectors[:0]], [np.empty(0, dtype=np.float32)]
    for defect in replay.defects:
        told = most_anomalous_patches(contrasts, defect, bound)
        hidden = np.zeros(len(told), dtype=np.float32)
        hidden[:1] = (bound * contrasts.score(defect.features, region=defect.mask).scale) ** 2
        patches.append(told)
        reach.append(hidden)
    return _Known(np.concatenate(patches), np.concatenate(reach))


def _told_apart(
    bank: Bank, defects: _Known, goods: Sequence[GoodPart], bound: float
) -> tuple[list[_Screened], tuple[str, ...]]:
    """Good parts by what the bank says of their patches, and the samples refused whole."""
    screened, refused = [], []
    for good in goods:
        patches, found = good.features.patches, bank.normalised_distance(good.features)
        contrast = found.map.reshape(-1)  # (rows, columns) -> (P,)
        apart = squared_distances(patches, defects.patches)  # (P, n)
        nearer = np.asarray((apart < (contrast * found.scale)[:, None] ** 2).any(axis=1))
        if nearer[contrast.argmax()]:
            refused.append(good.sample)
            continue
        allowed = ~nearer & np.asarray((apart > defects.reach).all(axis=1))
        screened.append(_Screened(good, allowed, allowed & (contrast > bound), (bound * found.scale) ** 2))
    return screened, tuple(refused)


def _corroborated(screened: list[_Screened], before: Collection[str]) -> tuple[list[Admitted], tuple[str, ...]]:
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


def _part(good: GoodPart) -> str:
    return good.part or good.sample
