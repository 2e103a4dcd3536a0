"""Which parts an operator is asked about: the label budget."""

from __future__ import annotations

import hashlib

from policies.verdict import Verdict


def audited(frame_id: str, share: float) -> bool:
    """Whether the frame belongs to the random audit share in [0, 1], decided by its id alone.

    Independent of score and verdict, so the good parts among audited frames are an unbiased sample of good
    parts: they, and only they, calibrate the threshold.
    """
    draw = int.from_bytes(hashlib.sha256(frame_id.encode()).digest()[:8], "big") / 2**64
    return draw < share


def asked(verdict: Verdict, p_value: float, spent: float, review_rate: float, disputed: bool = False) -> bool:
    """Whether to ask about a scored part that is not audited, when `spent` of the hour's questions are used up.

    First what was not passed, or what a proposal on trial would judge otherwise: the answer settles whether the line
    rejects good parts, or would pass bad ones. Then, of the passed, the likeliest to be missed defects and the goods
    most alike to what will be flagged next: those whose p-value is at most `review_rate` times what is left of the
    budget, so that the scarcer it gets, the odder a part must be.
    """
    if spent >= 1:
        return False
    return disputed or verdict is not Verdict.OK or p_value <= review_rate * (1 - spent)
