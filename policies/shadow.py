"""Whether a proposal that scored live frames beside the head may take its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policies.admission import Hold
from policies.verdict import Verdict

RIGHT = {"good": Verdict.OK, "defect": Verdict.NG}


@dataclass(frozen=True)
class Disagreement:
    """A frame that `head` and `proposal` gave different verdicts, each OK or NG."""

    frame_id: str
    head: Verdict
    proposal: Verdict


@dataclass(frozen=True)
class Trusted:
    """The trial's record for the manifest: frames scored by both, those judged differently, and how many of these
    operators settled for either side."""

    frames: int
    disagreed: tuple[str, ...]
    for_head: int
    for_proposal: int


def settle_trial(frames: int, disagreed: Sequence[Disagreement], answers: Mapping[str, str]) -> Trusted | Hold:
    """Promote the proposal unless operators' answers (good or defect, by frame) took the head's side more often.

    A frame nobody answered counts for neither: a proposal must not wait for ever for people who have other work.
    """
    answered = [(d, RIGHT[answers[d.frame_id]]) for d in disagreed if d.frame_id in answers]
    for_head = sum(d.head is right for d, right in answered)
    for_proposal = len(answered) - for_head
    if for_head > for_proposal:
        return Hold(
            f"in {frames} frames of trial the proposal was wrong where the head was right {for_head} times,"
            f" and right where the head was wrong {for_proposal} times"
        )
    return Trusted(frames, tuple(d.frame_id for d in disagreed), for_head, for_proposal)
