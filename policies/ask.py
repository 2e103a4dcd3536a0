"""Which parts an operator is asked about."""

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


def asked(frame_id: str, verdict: Verdict, scored: bool, share: float) -> bool:
    """Whether to ask: every scored frame that was not passed, and the audit share of all scored frames."""
    return scored and (verdict is not Verdict.OK or audited(frame_id, share))
