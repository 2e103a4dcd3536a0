"""A proposal on trial: it scores live frames beside the head before it may judge them."""

from __future__ import annotations

from dataclasses import dataclass

from memory.features import Features
from policies.lesson import Proven
from policies.shadow import Disagreement
from policies.verdict import Verdict


@dataclass(frozen=True)
class Told:
    """What the head was told when the lesson was decided: the cause, and the last answer that it heeds."""

    cause: str
    through: int


class Trial:
    """A proven proposal that sees `frames` frames before it is published. Only the scoring thread compares.

    It lives in memory: after a restart its answers are still due, and the same proposal stands trial anew.
    """

    def __init__(self, proven: Proven, told: Told, frames: int) -> None:
        self.proven = proven
        self.told = told
        self.frames = frames
        self.seen = 0
        self.disagreed: dict[str, Disagreement] = {}

    @property
    def over(self) -> bool:
        """Whether it has seen enough."""
        return self.seen >= self.frames

    def compare(self, frame_id: str, features: Features, verdict: Verdict) -> Disagreement | None:
        """Score a frame that the head gave this verdict; the disagreement, if there is one. UNKNOWN says nothing."""
        if verdict is Verdict.UNKNOWN or self.over:
            return None
        proposal = self.proven.proposal
        score = proposal.contents.bank.score(features).value
        says = Verdict.NG if score > proposal.threshold.value else Verdict.OK
        found = None if says is verdict else Disagreement(frame_id, verdict, says)
        if found is not None:
            self.disagreed[frame_id] = found
        self.seen += 1
        return found
