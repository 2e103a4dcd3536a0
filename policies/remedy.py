"""A missed defect's remedy: the good patches that explained it away leave the bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory.bank import subset
from memory.contrasts import NeighbourCache
from memory.coreset import squared_distances
from memory.defects import Defect
from memory.version import CalibrationSet
from policies.threshold import Threshold, calibrate, leave_one_out_scores

MOST_SHARE = 0.02
REACH = 1.05


@dataclass(frozen=True)
class Remedy:
    """The bank without the patches that hid `defect`, by its contrasts, and the threshold that it then has; they
    are named by (sample, number in its grid)."""

    defect: str
    contrasts: NeighbourCache
    threshold: Threshold
    removed_patches: tuple[tuple[str, int], ...]


def is_detected(contrasts: NeighbourCache, defect: Defect, threshold: Threshold) -> bool:
    """Whether the defect's own region exceeds the threshold by contrast alone: that the memory knows this very
    defect proves nothing for the next of its kind."""
    return contrasts.score(defect.features, region=defect.mask).value > threshold.value


def remedy(
    contrasts: NeighbourCache, held_out: CalibrationSet, defect: Defect, threshold: Threshold, found: Sequence[Defect]
) -> Remedy | None:
    """What makes a missed defect stand out, under the threshold that the smaller bank then has, or None.

    One patch that stands out is enough, so the region's patches are tried one by one, first the one that is hidden
    by patches which calibration parts use least, then by fewest: all good patches within `REACH` thresholds of it
    leave. None where that takes more than `MOST_SHARE` of the bank, or raises the score of more calibration parts than
    the false-reject rate allows, one at least, for then the defect looks like what is normal; and where the threshold
    would rise over this defect or one of the others, `found` now.
    """
    bank = contrasts.bank
    squared = squared_distances(defect.patches, bank.vectors)  # (n, N)
    hiding = squared <= (REACH * threshold.value * contrasts.score(defect.features, region=defect.mask).scale) ** 2
    before = [score.value for score in leave_one_out_scores(contrasts, held_out)]
    for patch in np.lexsort((hiding.sum(axis=1), hiding @ bank.usage_count)):
        rows = np.flatnonzero(hiding[patch])
        if len(rows) > MOST_SHARE * len(bank):
            continue
        trimmed = contrasts.rebased(subset(bank, np.flatnonzero(~hiding[patch])))
        after = [score.value for score in leave_one_out_scores(trimmed, held_out)]
        if sum(now > then for now, then in zip(after, before, strict=True)) > max(1.0, threshold.rate * len(before)):
            continue
        lifted = calibrate(after, threshold.rate)
        if all(is_detected(trimmed, d, lifted) for d in (defect, *found)):
            return Remedy(
                defect.sample, trimmed, lifted, tuple((bank.provenance(int(r)), int(bank.patch_index[r])) for r in rows)
            )
    return None


def apply_remedies(
    contrasts: NeighbourCache, held_out: CalibrationSet, owed: Sequence[Defect], threshold: Threshold
) -> tuple[NeighbourCache, tuple[Remedy, ...]]:
    """The contrasts of the bank without what hides these defects, one after the other, each under the threshold that
    the remedies before it left; and what was done for each."""
    done: list[Remedy] = []
    found = [defect for defect in owed if is_detected(contrasts, defect, threshold)]
    for defect in owed:
        if defect in found:
            continue
        if not is_detected(contrasts, defect, threshold):
            made = remedy(contrasts, held_out, defect, threshold, found)
            if made is None:
                continue
            contrasts, threshold = made.contrasts, made.threshold
            done.append(made)
        found.append(defect)
    return contrasts, tuple(done)
