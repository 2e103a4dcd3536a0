"""Fitting of a detector with its threshold: from good parts, or calibrated anew after a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import Capacity, Detector, GoodPart, Learner
from memory.features import Features, View
from memory.learners import learner_of
from memory.on_demand import OnDemand
from memory.version import Snapshot
from policies.threshold import Threshold, leave_one_out_scores, threshold_of_scores

SPLIT_SHARE = 1 / 3


@dataclass(frozen=True)
class Limits:
    """The limits of a lesson: the detector's `capacity`, the most `calibration_parts` and confirmed `defects`, the
    false-reject `rate`, and the `review_rate`: the share of good parts whose scores count as new."""

    capacity: Capacity
    calibration_parts: int
    defects: int
    rate: float
    review_rate: float


@dataclass(frozen=True)
class Fitted:
    """A finished detector, the parts that calibrate it with their leave-one-out `scores`, and its threshold."""

    detector: Detector
    calibration_set: CalibrationSet
    scores: tuple[float, ...]
    threshold: Threshold


def fit(
    kind: str,
    goods: Sequence[GoodPart],
    defects: Sequence[Defect],
    limits: Limits,
    seed: int,
    wholes: Sequence[Features] | None = None,
) -> Fitted:
    """Teach a detector of this kind from at least two good parts; deterministic in its arguments.

    Parts may be made when they are asked for; they are gone through several times. The views of large images may hold
    a draw of their patches (`Features.drawn`), or none: those only calibrate. `wholes` are the features with all.

    All parts calibrate the threshold, or a seeded draw where there are more than `limits.calibration_parts`. A kind
    that cannot leave a part out of its scores is taught only by parts that do not calibrate; then at most `SPLIT_SHARE`
    of all parts calibrate. Raises DriftlineError for a kind that is not installed.
    """
    learner = learner_of(kind)
    calibrating = _calibrating(len(goods), learner, limits.calibration_parts, seed)
    left_out = set(calibrating) if learner.split_calibration else set()
    teaching = [i for i, good in enumerate(goods) if i not in left_out and len(good.view.features)]
    detector = learner.fit(OnDemand(teaching, goods.__getitem__), limits.capacity, seed)
    samples, features = [], []
    for i in calibrating:
        good = goods[i]
        view = good.view if wholes is None else View(wholes[i], good.view.image)
        samples.append(good.sample)
        features.append(telling(detector, view, good.sample))
    calibration_set = CalibrationSet(tuple(samples), tuple(features))
    return calibrated(detector, calibration_set, defects, limits.rate)


def telling(detector: Detector, view: View, sample: str) -> Features:
    """The features that are kept of a taught part: all of them, or of a large image those that decide its score
    (`Features.telling`)."""
    if not view.features.large:
        return view.features
    return view.features.telling(detector.score_without(view, sample).map)


def calibrated(detector: Detector, calibration_set: CalibrationSet, defects: Sequence[Defect], rate: float) -> Fitted:
    """The finished detector (`Learner.finish`) with its threshold for this false-reject rate."""
    scores = leave_one_out_scores(detector, calibration_set)
    in_masks = [detector.score_in(defect.view, defect.mask).value for defect in defects]
    threshold = threshold_of_scores(calibration_set, scores, in_masks, rate)
    finished = learner_of(detector.kind).finish(detector, calibration_set, defects, threshold.at)
    return Fitted(finished, calibration_set, tuple(scores), threshold)


def recalibrated(snapshot: Snapshot, rate: float) -> tuple[Snapshot, Threshold]:
    """The snapshot calibrated anew, with its threshold: at another false-reject rate, or after defects were removed."""
    defects = snapshot.confirmed_defects.defects
    fitted = calibrated(snapshot.detector, snapshot.calibration_set, defects, rate)
    return replace(snapshot, detector=fitted.detector), fitted.threshold


def _calibrating(count: int, learner: Learner, most: int, seed: int) -> list[int]:
    """The indices of at most `most` of `count` parts that calibrate the threshold."""
    order = np.random.default_rng(seed).permutation(count).tolist()
    split = max(int(count * SPLIT_SHARE), 1) if learner.split_calibration else count
    return sorted(order[: min(most, split)])
