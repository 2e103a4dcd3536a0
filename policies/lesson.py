"""The decision on a lesson: propose, check by the gate, and propose again without the samples that it blames."""

from __future__ import annotations

from dataclasses import dataclass

from drift.monitor import DriftState
from memory.version import Model
from policies.admission import Hold, LabelledParts, Proposal, propose
from policies.fitting import Limits
from policies.gate import GateReport, check
from policies.threshold import leave_one_out_scores


@dataclass(frozen=True)
class ApprovedProposal:
    """A proposal that has passed the gate, with the gate's record."""

    proposal: Proposal
    gate_report: GateReport


def decide(
    base: Model, confirmed: LabelledParts, drift: DriftState, limits: Limits, seed: int
) -> tuple[ApprovedProposal | Hold, tuple[Hold, ...]]:
    """The outcome of a lesson on `base` with the confirmed parts, and every hold on the way, oldest first.

    When the gate blames parts for a defect that would be missed, the rest is proposed again without them. Deterministic
    in its arguments.
    """
    holds: list[Hold] = []
    while True:
        proposal = propose(base, confirmed, drift, limits, seed)
        outcome = proposal if isinstance(proposal, Hold) else check(proposal)
        if not isinstance(proposal, Hold) and not isinstance(outcome, Hold):
            return ApprovedProposal(proposal, outcome), tuple(holds)
        assert isinstance(outcome, Hold)  # noqa: S101  # a held proposal is its own outcome
        holds.append(outcome)
        rest = confirmed.without(outcome.blamed)
        if len(rest) in (0, len(confirmed)):
            return outcome, tuple(holds)
        # Known from here on, so that the next proposal searches only what it changes.
        leave_one_out_scores(base.snapshot.detector, base.snapshot.calibration_set)
        confirmed = rest
