"""Trials: a proposal scores live frames beside the head before it may judge them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from memory.features import View
from policies.lesson import ApprovedProposal
from policies.verdict import Verdict

log = structlog.get_logger()


@dataclass(frozen=True)
class LessonTicket:
    """A lesson under way: the version it starts from, its cause, the last answer that it takes into account, and the
    last frame that was judged before it."""

    base: int
    cause: str
    through: int
    after: int


@dataclass(frozen=True)
class Trial:
    """An approved proposal that scores every frame which the head judges; its verdicts are in the ledger. `revoked` is
    how many of the answers that it takes into account had been revoked when it was made."""

    approved: ApprovedProposal
    ticket: LessonTicket
    revoked: int


def trial_verdict(trial: Trial | None, view: View, verdict: Verdict, regime: int) -> Verdict | None:
    """The verdict of a proposal on trial on a frame that the head has judged, in its regime; None where either cannot
    score it. An error of the proposal is logged and does not affect the frame."""
    if trial is None or verdict is Verdict.UNKNOWN:
        return None
    proposal = trial.approved.proposal
    try:
        score = proposal.snapshot.detector.score(view).value
    except Exception:
        log.exception("the proposal on trial could not score a frame")
        return None
    return Verdict.NG if score > proposal.threshold.for_regime(regime).value else Verdict.OK
