"""A missed defect's remedy: what explained it away is un-learned, where that costs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory.defects import Defect
from memory.detector import Detector, Repair
from memory.learners import learner_of
from policies.fitting import Fitted
from policies.threshold import Threshold, calibrate, is_detected, leave_one_out_scores


@dataclass(frozen=True)
class Remedy:
    """What was un-learned so that `defect` is detected: patches by (sample, number in its grid)."""

    defect: str
    removed_patches: tuple[tuple[str, int], ...]


def apply_remedies(fitted: Fitted, owed: Sequence[Defect]) -> tuple[Detector, tuple[Remedy, ...]]:
    """The detector without what hides these defects, one after the other, each under the threshold that the remedies
    before it left; and what was done for each. It is to be calibrated again where anything was."""
    remedies: list[Remedy] = []
    detected = [defect for defect in owed if is_detected(fitted.detector, defect, fitted.threshold)]
    for defect in owed:
        if defect in detected:
            continue
        if not is_detected(fitted.detector, defect, fitted.threshold):
            chosen = remedy(fitted, defect, detected)
            if chosen is None:
                continue
            repair, threshold = chosen
            fitted = Fitted(repair.detector, fitted.calibration_set, threshold)
            remedies.append(Remedy(defect.sample, repair.removed_patches))
        detected.append(defect)
    return fitted.detector, tuple(remedies)


def remedy(fitted: Fitted, defect: Defect, detected: Sequence[Defect]) -> tuple[Repair, Threshold] | None:
    """The gentlest repair that makes a missed defect stand out, with the threshold that the detector then has, or None.

    None where every repair raises the score of more calibration parts than the false-reject rate allows, one at least,
    for then the defect looks like what is normal; or lifts the threshold over this defect or one of those `detected`
    now.
    """
    before, rate = leave_one_out_scores(fitted.detector, fitted.calibration_set), fitted.threshold.rate
    for repair in learner_of(fitted.detector.kind).repairs(fitted.detector, defect, fitted.threshold.value):
        after = leave_one_out_scores(repair.detector, fitted.calibration_set)
        if sum(now > then for now, then in zip(after, before, strict=True)) > max(1.0, rate * len(before)):
            continue
        lifted = calibrate(after, rate)
        if all(is_detected(repair.detector, one, lifted) for one in (defect, *detected)):
            return repair, lifted
    return None
