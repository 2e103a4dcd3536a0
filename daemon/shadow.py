"""A proposal on trial: it scores live frames beside the head before it may judge them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import structlog

from daemon.ledger import Ledger
from memory.features import Features
from policies.lesson import Proven
from policies.shadow import Disagreement
from policies.verdict import Verdict

STATUS = "trial"
log = structlog.get_logger()


@dataclass(frozen=True)
class Begun:
    """A lesson under way: the version it starts from, its cause, the last answer that it heeds, and the last frame that
    was judged before it."""

    base: int
    cause: str
    through: int
    after: int


@dataclass(frozen=True)
class Trial:
    """A proven proposal that scores every frame which the head judges. What it said of each is in the ledger."""

    proven: Proven
    begun: Begun


def tried(trial: Trial | None, features: Features, verdict: Verdict, regime: int) -> Verdict | None:
    """What a proposal on trial says of a frame that the head gave a verdict in a regime; None where either cannot say.
    Its trouble is told, and is not the frame's."""
    if trial is None or verdict is Verdict.UNKNOWN:
        return None
    proposal = trial.proven.proposal
    try:
        score = proposal.contents.bank.score(features).value
    except Exception:
        log.exception("the proposal on trial could not score a frame")
        return None
    return Verdict.NG if score > proposal.threshold.under(regime).value else Verdict.OK


def begun(ledger: Ledger, base: int) -> Begun | None:
    """The trial of a proposal from version `base` that is not over, also after a restart."""
    said = ledger.said(STATUS)
    return Begun(**said) if said and said["base"] == base else None


def begin(ledger: Ledger, lesson: Begun) -> None:
    """Make the trial known, so that a restart goes on with it."""
    ledger.say(STATUS, asdict(lesson))


def end(ledger: Ledger) -> None:
    """No trial is under way."""
    ledger.say(STATUS, {})


def seen(ledger: Ledger, lesson: Begun) -> int:
    """Frames that both have scored since the trial began."""
    row = ledger.one("SELECT count(*) AS n FROM frames WHERE seq > ? AND trial IS NOT NULL", lesson.after)
    return int(row["n"]) if row else 0


def disagreements(ledger: Ledger, lesson: Begun) -> tuple[Disagreement, ...]:
    """Frames that the proposal would have judged otherwise, oldest first."""
    query = "SELECT frame_id, verdict, trial FROM frames WHERE seq > ? AND trial <> verdict ORDER BY seq"
    rows = ledger.all(query, lesson.after)
    return tuple(Disagreement(r["frame_id"], Verdict(r["verdict"]), Verdict(r["trial"])) for r in rows)
