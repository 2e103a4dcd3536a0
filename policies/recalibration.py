"""The decision on a detector that was trained again: calibrated anew, it must find what is found today."""

from __future__ import annotations

from dataclasses import replace

from memory.detector import Detector
from memory.version import Model
from policies.admission import Hold, Proposal
from policies.fitting import recalibrated
from policies.gate import check
from policies.lesson import ApprovedProposal


def decide(base: Model, retrained: Detector, rate: float) -> ApprovedProposal | Hold:
    """The proposal of `retrained` in place of the base's detector, of the same kind and from the same samples, with the
    threshold of this false-reject rate, if the gate approves it."""
    snapshot, threshold = recalibrated(replace(base.snapshot, detector=retrained), rate)
    proposal = Proposal(base, snapshot, threshold, (), (), ())
    outcome = check(proposal)
    return outcome if isinstance(outcome, Hold) else ApprovedProposal(proposal, outcome)
