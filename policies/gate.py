"""The gate before every commit: no confirmed defect that is found today may be missed tomorrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from memory.defects import Defect
from memory.learners import learner_of
from memory.version import Snapshot
from policies.admission import Hold, Proposal
from policies.threshold import Threshold, is_detected, leave_one_out_scores


@dataclass(frozen=True)
class GateReport:
    """The gate's record for the manifest: how many confirmed defects a version finds, and which it misses."""

    found: int
    missed: tuple[str, ...]

    def to_json(self) -> Mapping[str, Any]:
        """The record as JSON for the manifest."""
        return asdict(self) | {"missed": list(self.missed)}


def check(proposal: Proposal) -> GateReport | Hold:
    """Check a proposal: score every confirmed defect with base and proposal, each under its own threshold.

    A defect counts as found when its image is flagged *and* its region alone would be: another patch of the image
    exceeding the threshold by chance does not excuse forgetting the defect itself. One newly missed defect, under any
    regime's threshold, holds the whole proposal and blames the samples at fault (`blamed`).
    """
    before, after = Threshold.of(proposal.base.version.threshold), proposal.threshold
    regimes = sorted({*before.per_regime, *after.per_regime})
    thresholds = [(before, after), *((before.for_regime(r), after.for_regime(r)) for r in regimes)]
    base, proposed = proposal.base.snapshot.detector, proposal.snapshot.detector
    forgotten = [
        defect
        for defect in proposal.snapshot.confirmed_defects.defects
        if any(is_detected(base, defect, then) and not is_detected(proposed, defect, now) for then, now in thresholds)
    ]
    if forgotten:
        names = ", ".join(defect.sample for defect in forgotten)
        return Hold(
            f"{len(forgotten)} of {len(proposal.snapshot.confirmed_defects)} confirmed defects would be missed:"
            f" {names}",
            blamed_samples(proposal, forgotten),
        )
    return prove(proposal.snapshot, after)


def prove(snapshot: Snapshot, threshold: Threshold) -> GateReport:
    """The gate's record of a snapshot under this threshold."""
    defects = snapshot.confirmed_defects.defects
    missed = tuple(d.sample for d in defects if not is_detected(snapshot.detector, d, threshold))
    return GateReport(len(defects) - len(missed), missed)


def blamed_samples(proposal: Proposal, forgotten: list[Defect]) -> tuple[str, ...]:
    """The samples because of which these defects would be missed.

    Where the base would flag the defect under the new threshold, newly learned samples hide it, which the detector's
    `Learner` names. Otherwise the threshold has risen above it, by the new calibration parts that score above the old
    threshold. Where neither names a sample, everything new is blamed, so that learning can go on.
    """
    base, proposed = proposal.base.snapshot, proposal.snapshot
    learner, same_kind = learner_of(proposed.detector.kind), proposed.detector.kind == base.detector.kind
    if same_kind:
        guilty = learner.blame(base.detector, proposed.detector, forgotten, proposal.threshold.value)
        if guilty:
            return tuple(sorted(guilty))
        new = learner.contributors(base.detector, proposed.detector)
    else:
        new = frozenset(proposed.detector.samples)  # of another kind nothing is old
    calibration_set = proposed.calibration_set
    fresh = set(calibration_set.samples) - set(base.calibration_set.samples)
    before = Threshold.of(proposal.base.version.threshold)
    scores = zip(calibration_set.samples, leave_one_out_scores(proposed.detector, calibration_set), strict=True)
    lifting = {sample for sample, score in scores if sample in fresh and score > before.value}
    return tuple(sorted(lifting or fresh | new))
