"""Admission of confirmed parts: the proposal of a next version, or a reason to hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from drift.monitor import DriftState
from drift.regimes import TAUGHT, Sighting, extended, learned
from memory.defects import Defect
from memory.detector import Bounds, Extension, GoodPart
from memory.learners import learner_of
from memory.version import Model, Snapshot
from policies.fitting import Limits, calibrated
from policies.notices import paused
from policies.remedies import Remedy, apply_remedies
from policies.threshold import Threshold, is_detected

MOST_WAITING = 64


@dataclass(frozen=True)
class LabelledParts:
    """The parts that operators confirmed since the base version, in the order of their answers.

    All may be learned. `goods` were asked about because of their scores; `audited` goods were drawn at random and
    calibrate the threshold too. `sightings` tell, by sample, how the scene was, where that is known.
    """

    goods: tuple[GoodPart, ...] = ()
    audited: tuple[GoodPart, ...] = ()
    defects: tuple[Defect, ...] = ()
    sightings: Mapping[str, Sighting] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.goods) + len(self.audited) + len(self.defects)

    def without(self, samples: tuple[str, ...]) -> LabelledParts:
        """The same without these good parts; confirmed defects always stay."""
        excluded = set(samples)
        return replace(
            self,
            goods=tuple(good for good in self.goods if good.sample not in excluded),
            audited=tuple(good for good in self.audited if good.sample not in excluded),
        )


@dataclass(frozen=True)
class Proposal:
    """A complete next version that is not published yet. `waiting` are confirmed parts that show something new which no
    other confirmed part shows yet."""

    base: Model
    snapshot: Snapshot
    threshold: Threshold
    added: tuple[str, ...]
    removed: tuple[str, ...]
    refused: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Hold:
    """The decision to learn nothing, with its reason. `blamed` are the samples at fault, to be set aside; it is `calm`
    where nothing is wrong, so that nobody need be warned."""

    reason: str
    blamed: tuple[str, ...] = ()
    calm: bool = False


def propose(base: Model, parts: LabelledParts, drift: DriftState, limits: Limits, seed: int) -> Proposal | Hold:
    """Propose the next version from the confirmed parts; deterministic in its arguments.

    Something new, which scores above all but `limits.review_rate` of good parts, is learned once two confirmed parts
    show it: one wrong answer teaches nothing new, and an oddity that never returns need not be known. Such parts wait,
    and must be among the `parts` of later lessons, which learn only what is still new of them: the rest was learned
    before, and what a remedy removed does not come back.

    The detector's `Learner` decides what good parts may teach. A newly reported defect that is missed, and one that the
    lesson would hide, are remedied where that is possible (`policies.remedies`).

    Holds while the camera is at fault or the scene beyond trust (`policies.notices`), and when nothing would change.
    """
    reason = paused(drift)
    if reason:
        return Hold(f"admission is paused: {reason}")
    snapshot, learner = base.snapshot, learner_of(base.snapshot.detector.kind)
    confirmed_defects = snapshot.confirmed_defects
    for defect in parts.defects:
        confirmed_defects = confirmed_defects.remember(defect, limits.defects)
    defects = confirmed_defects.defects
    threshold = Threshold.of(base.version.threshold)
    # Who cannot leave a part out of its score must not learn from the parts that calibrate it.
    learning = parts.goods if learner.split_calibration else (*parts.goods, *parts.audited)
    extension = learner.extend(
        snapshot.detector,
        learning,
        defects,
        Bounds(threshold.value, threshold.at(limits.review_rate)),
        base.version.waiting,
        limits.capacity,
        seed,
    )
    fresh = _calibrating(parts, {*snapshot.calibration_set.samples, *extension.refused})
    calibration_set = snapshot.calibration_set.grown(
        [good.sample for good in fresh],
        [good.view.features for good in fresh],
        [parts.sightings[good.sample].regime if good.sample in parts.sightings else TAUGHT for good in fresh],
        limits.calibration_parts,
    )
    before = {*extension.refused, *base.version.waiting}  # a waiting part was counted by the lesson that made it wait
    counting = [good.sample for good in (*parts.goods, *parts.audited) if good.sample not in before]
    regimes = extended(snapshot.regimes, [parts.sightings[s] for s in counting if s in parts.sightings])
    fitted = calibrated(extension.detector, calibration_set, defects, limits.rate)
    reported = {defect.sample for defect in parts.defects}
    must_detect = [d for d in defects if d.sample in reported or is_detected(snapshot.detector, d, threshold)]
    repaired, remedies = apply_remedies(fitted, must_detect)
    if remedies:
        fitted = calibrated(repaired, calibration_set, defects, limits.rate)
    same_calibration_and_defects = confirmed_defects == snapshot.confirmed_defects and not fresh
    if (
        not extension.learned
        and not remedies
        and same_calibration_and_defects
        and not learned(snapshot.regimes, regimes)
    ):
        return _nothing_to_learn(extension)
    then, now = snapshot.detector.samples, fitted.detector.samples
    return Proposal(
        base=base,
        snapshot=Snapshot(fitted.detector, confirmed_defects, calibration_set, snapshot.reference, regimes),
        threshold=fitted.threshold,
        added=tuple(s for s in now if s not in set(then)),
        removed=tuple(s for s in then if s not in set(now)),
        refused=extension.refused,
        waiting=extension.waiting[-MOST_WAITING:],
        remedies=remedies,
    )


def _calibrating(parts: LabelledParts, known: Collection[str]) -> list[GoodPart]:
    """The audited parts that calibrate the threshold from now on: all but those of `known` samples."""
    return [good for good in parts.audited if good.sample not in known]


def _nothing_to_learn(extension: Extension) -> Hold:
    if extension.refused:
        return Hold("every confirmed part lies nearer to a confirmed defect than to the bank", extension.refused)
    if extension.waiting:
        return Hold(f"{len(extension.waiting)} confirmed parts show something new, each alone: it takes two")
    return Hold("nothing new to learn: what was confirmed is covered already", calm=True)
