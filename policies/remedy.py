"""A missed defect's remedy: the good patches that explained it away leave the bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory.bank import Bank, subset
from memory.coreset import squared_distances
from memory.replay import Defect
from memory.version import HeldOut
from policies.threshold import Threshold, calibrate, good_contrasts

MOST_SHARE = 0.02
MOST_USE = 0.005
REACH = 1.05


@dataclass(frozen=True)
class Remedy:
    """The bank without the patches that hid `defect`, which are named by (sample, number in its grid)."""

    defect: str
    bank: Bank
    unadmitted: tuple[tuple[str, int], ...]


def stands_out(bank: Bank, defect: Defect, threshold: Threshold) -> bool:
    """Whether the defect's own region exceeds the threshold by contrast alone: that the memory knows this very
    defect proves nothing for the next of its kind."""
    return bool(bank.contrast(defect.features).map[defect.region].max() > threshold.value)


def remedy(
    bank: Bank, held_out: HeldOut, defect: Defect, threshold: Threshold, found: Sequence[Defect]
) -> Remedy | None:
    """What makes a missed defect stand out, under the threshold that the smaller bank then has, or None.

    One patch that stands out is enough, so the region's patches are tried one by one, first the one that is hidden
    by patches which calibration parts use least, then by fewest: all good patches within `REACH` thresholds of it
    leave. None where that takes more than `MOST_SHARE` of the bank, or patches that serve more than `MOST_USE` of
    what calibration parts show, for then the defect looks like what is normal; where the good parts' own scores rise
    with it, for then these features cannot tell it apart; and where the threshold would rise over one of the
    others, `found` now.
    """
    squared = squared_distances(defect.patches, bank.vectors)  # (n, N)
    hiding = squared <= (REACH * threshold.value * bank.contrast(defect.features).level) ** 2
    for patch in np.lexsort((hiding.sum(axis=1), hiding @ bank.use)):
        rows = np.flatnonzero(hiding[patch])
        if len(rows) > MOST_SHARE * len(bank) or bank.use[rows].sum() > MOST_USE * bank.use.sum():
            continue
        trimmed = subset(bank, np.flatnonzero(~hiding[patch]))
        lifted = calibrate(good_contrasts(trimmed, held_out), threshold.rate)
        if all(stands_out(trimmed, d, lifted) for d in (defect, *found)):
            return Remedy(defect.sample, trimmed, tuple((bank.provenance(int(r)), int(bank.place[r])) for r in rows))
    return None


def remedied(
    bank: Bank, held_out: HeldOut, owed: Sequence[Defect], threshold: Threshold
) -> tuple[Bank, tuple[Remedy, ...]]:
    """The bank without what hides these defects, one after the other, and what was done for each."""
    done: list[Remedy] = []
    missed = [defect for defect in owed if not stands_out(bank, defect, threshold)]
    found = [defect for defect in owed if defect not in missed]
    for defect in missed:
        made = None if stands_out(bank, defect, threshold) else remedy(bank, held_out, defect, threshold, found)
        if made is not None:
            bank = made.bank
            found.append(defect)
            done.append(made)
    return bank, tuple(done)
