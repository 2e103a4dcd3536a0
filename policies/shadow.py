"""The decision after a trial: whether a proposal that scored live frames beside the head may take its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policies.admission import Hold
from policies.verdict import Verdict


@dataclass(frozen=True)
class Disagreement:
    """A frame to which `head` and `proposal` gave different verdicts, each OK or NG."""

    frame_id: str
    head: Verdict
    proposal: Verdict


@dataclass(frozen=True)
class ShadowReport:
    """The trial's record for the manifest: frames scored by both, how many were judged differently, and how many of
    these people answered."""

    frames: int
    disagreed: int
    answered: int


def weigh(frames: int, disagreed: Sequence[Disagreement], answers: Mapping[str, str]) -> ShadowReport | Hold:
    """Decide a trial by people's answers (good or defect, by frame).

    One confirmed defect that the head flagged and the proposal would have passed holds it, as in the gate. Of frames
    that only the proposal would have flagged, more good parts than defects hold it. Frames without an answer do not
    count: a proposal must not wait for ever for people who have other work.
    """
    answered = [(d, answers[d.frame_id]) for d in disagreed if d.frame_id in answers]
    missed = [d.frame_id for d, label in answered if d.proposal is Verdict.OK and label == "defect"]
    if missed:
        return Hold(f"in a trial of {frames} frames it would have passed {len(missed)} defects: {', '.join(missed)}")
    flagged = [label for d, label in answered if d.proposal is Verdict.NG]
    if flagged.count("good") > flagged.count("defect"):
        return Hold(
            f"in a trial of {frames} frames it would have flagged {flagged.count('good')} good parts more"
            f" for {flagged.count('defect')} defects"
        )
    return ShadowReport(frames, len(disagreed), len(answered))
