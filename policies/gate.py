"""The proof before every commit: no defect that is found today may be missed tomorrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from memory.bank import Bank, subset
from memory.defects import Defect
from memory.version import Snapshot
from policies.admission import Hold, Proposal
from policies.remedy import is_detected
from policies.threshold import Threshold, leave_one_out_scores


@dataclass(frozen=True)
class GateReport:
    """The gate's record for the manifest: replayed defects found and missed by the proposal."""

    found: int
    missed: tuple[str, ...]

    def to_json(self) -> Mapping[str, Any]:
        """As the manifest holds it."""
        return asdict(self) | {"missed": list(self.missed)}


def check(proposal: Proposal) -> GateReport | Hold:
    """Score every replayed defect with base and proposal, each under its own threshold.

    A defect counts as found when its image is flagged *and* its region alone would be: another patch of the
    image exceeding the threshold by chance does not excuse forgetting the defect itself. One newly missed
    defect, under whatever regime's threshold, holds the whole proposal, blaming the added samples whose patches explain
    its region away.
    """
    before, after = Threshold.of(proposal.base.version.threshold), proposal.threshold
    passed = prove(proposal.snapshot, after)
    thresholds = [
        (before, after),
        *((before.for_regime(r), after.for_regime(r)) for r in sorted({*before.per_regime, *after.per_regime})),
    ]
    forgotten = [
        defect
        for defect in proposal.snapshot.confirmed_defects.defects
        if any(
            is_detected(proposal.base.snapshot.contrasts, defect, then)
            and not is_detected(proposal.snapshot.contrasts, defect, now)
            for then, now in thresholds
        )
    ]
    if forgotten:
        names = ", ".join(defect.sample for defect in forgotten)
        return Hold(
            f"{len(forgotten)} of {len(proposal.snapshot.confirmed_defects)} confirmed defects would be missed:"
            f" {names}",
            blamed(proposal, forgotten),
        )
    return passed


def prove(contents: Snapshot, threshold: Threshold) -> GateReport:
    """Which replayed defects these contents find under this threshold, and which they miss."""
    missed = tuple(
        d.sample for d in contents.confirmed_defects.defects if not is_detected(contents.contrasts, d, threshold)
    )
    return GateReport(len(contents.confirmed_defects) - len(missed), missed)


def blamed(proposal: Proposal, forgotten: list[Defect]) -> tuple[str, ...]:
    """Who made these defects be missed.

    Patches of a defect that its base would show under the new threshold were explained away: by the samples of the
    newly added patches that are nearest to them, new samples or not. Where there are none such, the threshold has
    overtaken it: by the new calibration parts that score above the old one. Where neither finds anybody, everything
    new is blamed, so that defects can be learned on.
    """
    contrasts, base = proposal.snapshot.contrasts, proposal.base.snapshot.contrasts
    bank = contrasts.bank
    new = _patches(bank) - _patches(base.bank)
    before = Threshold.of(proposal.base.version.threshold)
    guilty: set[str] = set()
    for defect in forgotten:
        shown = base.score(defect.features, region=defect.mask).map > proposal.threshold.value
        rows = contrasts.score(defect.features, region=defect.mask).nearest[
            shown.reshape(-1)
        ]  # (rows, columns) -> (P,)
        if len(rows):
            guilty |= {sample for sample, _ in _patches(subset(bank, np.unique(rows))) & new}
    held = proposal.snapshot.calibration_set
    fresh = set(held.samples) - set(proposal.base.snapshot.calibration_set.samples)
    if not guilty:
        scores = zip(held.samples, leave_one_out_scores(contrasts, held), strict=True)
        guilty = {sample for sample, score in scores if sample in fresh and score.value > before.value}
    return tuple(sorted(guilty or fresh | {sample for sample, _ in new}))


def _patches(bank: Bank) -> set[tuple[str, int]]:
    """Every patch by its sample and its number in that sample's grid."""
    return {(bank.samples[o], int(p)) for o, p in zip(bank.sample_index, bank.patch_index, strict=True)}
