"""A version with the same content, calibrated anew: at another false-reject rate, or with a detector trained again."""

from __future__ import annotations

from dataclasses import replace

from memory.detector import Detector
from memory.version import Model
from policies.admission import Proposal
from policies.fitting import recalibrated


def recalibration(base: Model, detector: Detector, rate: float) -> Proposal:
    """The proposal of a detector of the same kind and from the same samples in place of the base's, with the threshold
    of this false-reject rate; the gate has not seen it yet."""
    snapshot, threshold = recalibrated(replace(base.snapshot, detector=detector), rate)
    return Proposal(base, snapshot, threshold, (), (), ())
