"""The label budget: which parts an operator is asked about."""

from __future__ import annotations

import hashlib

from policies.verdict import Verdict

RARE = 0.1  # of good parts: what is more usual is no reason to ask


def audited(frame_id: str, share: float) -> bool:
    """Whether the frame belongs to the random audit share in [0, 1], decided by its id alone.

    Independent of score and verdict, so the good parts among audited frames are an unbiased sample of good
    parts: they, and only they, calibrate the threshold.
    """
    draw = int.from_bytes(hashlib.sha256(frame_id.encode()).digest()[:8], "big") / 2**64
    return draw < share


def asked(
    verdict: Verdict, p_value: float, spent: float, reviewed: float, review_rate: float, disputed: bool = False
) -> bool:
    """Whether to ask about a scored part that is not audited, when the share `spent` of the hour's questions is used.

    Asked about is every part that was not passed, or that a proposal on trial would judge otherwise: the answer tells
    whether the line rejects good parts, or would pass bad ones. Of passed parts, those with a p-value of at most
    `review_rate` times the share of the budget that is left: the likeliest missed defects, and the good parts most like
    what will be flagged next. No more than `review_rate` of all passed parts, of which lately the share `reviewed` was
    asked about: in a new condition all p-values are small.
    """
    if spent >= 1:
        return False
    return disputed or verdict is not Verdict.OK or (p_value <= review_rate * (1 - spent) and reviewed < review_rate)


def question(verdict: Verdict, p_value: float | None, *, audited: bool, disputed: bool, unconfirmed: bool) -> str:
    """Why people are asked about a part, in words, by what is on record of it; the same words whether it is asked about
    for that reason or as a known part, which must look like any other."""
    if unconfirmed:
        return "Somebody has answered, and a second person is asked."
    if verdict is Verdict.NG:
        return "It was rejected. Is it a defect?"
    if verdict is Verdict.UNKNOWN:
        return "It could not be judged with certainty. What is it?"
    if audited:
        return "It was passed, and drawn at random: such parts tell how many defects are missed."
    if disputed:
        return "It was passed, and a proposed version would reject it."
    told = p_value is not None and p_value < RARE
    odd = f", though only {max(100 * (p_value or 0.0), 0.1):.2g} % of good parts look as odd" if told else ""
    return f"It was passed{odd}. Was a defect missed?"
