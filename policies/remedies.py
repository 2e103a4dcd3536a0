"""Remedies of missed defects: the patches that hid one are un-learned, where that costs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memory.defects import Defect
from memory.detector import Detector, Repair
from memory.learners import learner_of
from policies.fitting import Fitted
from policies.threshold import calibrate, is_detected, leave_one_out_scores


@dataclass(frozen=True)
class Remedy:
    """The patches that were un-learned so that `defect` is detected, as (sample, number in its grid)."""

    defect: str
    removed_patches: tuple[tuple[str, int], ...]


def apply_remedies(fitted: Fitted, must_detect: Sequence[Defect]) -> tuple[Detector, tuple[Remedy, ...]]:
    """The detector without the patches that hide these defects, and the remedies. Defects are remedied one by one, each
    under the threshold that the remedies before it left; the result must be calibrated anew if there is a remedy."""
    remedies: list[Remedy] = []
    detected = [defect for defect in must_detect if is_detected(fitted.detector, defect, fitted.threshold)]
    for defect in must_detect:
        if defect in detected:
            continue
        if not is_detected(fitted.detector, defect, fitted.threshold):
            chosen = remedy(fitted, defect, detected)
            if chosen is None:
                continue
            repair, fitted = chosen
            remedies.append(Remedy(defect.sample, repair.removed_patches))
        detected.append(defect)
    return fitted.detector, tuple(remedies)


def remedy(fitted: Fitted, defect: Defect, detected: Sequence[Defect]) -> tuple[Repair, Fitted] | None:
    """The smallest repair by which a missed defect is detected, with the detector after it, or None.

    None where every repair raises the scores of more calibration parts than the false-reject rate allows (at least
    one), since the defect then looks normal; or raises the threshold above this defect or one of those `detected` now.
    """
    before, rate = fitted.scores, fitted.threshold.rate
    for repair in learner_of(fitted.detector.kind).repairs(fitted.detector, defect, fitted.threshold.value):
        after = leave_one_out_scores(repair.detector, fitted.calibration_set)
        if sum(now > then for now, then in zip(after, before, strict=True)) > max(1.0, rate * len(before)):
            continue
        threshold = calibrate(after, rate)
        if all(is_detected(repair.detector, one, threshold) for one in (defect, *detected)):
            return repair, replace(fitted, detector=repair.detector, scores=tuple(after), threshold=threshold)
    return None
