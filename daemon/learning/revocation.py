"""Revocation of answers: the version is rebuilt as if they had never been given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from daemon.clock import iso
from daemon.inference.engine import Engine
from daemon.learning.answers import agreed_in_span
from daemon.learning.lesson import propose_and_gate
from daemon.learning.operating_point import in_force
from daemon.learning.publish import gate_record, put_into_effect
from daemon.ledger.answers import answers_by, frames_of_answers, teaching_among
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Span
from drift.monitor import CALM
from memory.defects import ConfirmedDefects
from memory.errors import DriftlineError, StoreError
from memory.store import Store
from memory.version import Model, Version, VersionDraft
from policies.admission import Hold, Proposal
from policies.fitting import recalibrated
from policies.gate import prove
from policies.lesson import ApprovedProposal
from policies.verdict import Label

Spans = tuple[Span, ...]
log = structlog.get_logger()


def answers_of(
    ledger: Ledger, frames: Sequence[str], operator: str | None, since_ms: int | None, until_ms: int | None
) -> tuple[int, ...]:
    """The ids of answers about `frames` (none: to any) by `operator` (None: by anyone) in [since, until].

    Raises DriftlineError where neither frames nor operator are given, and where there is no such answer.
    """
    if not frames and operator is None:
        raise DriftlineError(
            expected="frames, an operator, or both", came="neither", do="name what is to be revoked; all is too much"
        )
    answers = answers_by(ledger, operator, since_ms or 0, until_ms if until_ms is not None else 2**62)
    ids = tuple(answer.id for answer in answers if not frames or answer.frame_id in frames)
    if not ids:
        raise DriftlineError(
            expected="answers to revoke",
            came="none by these frames, operator and times",
            do="see `driftline why FRAME`",
        )
    return ids


def revoke(engine: Engine, store: Store, ids: tuple[int, ...], who: str, reason: str) -> Version:
    """Revoke answers and commit the version that is rebuilt without them.

    It starts from the newest version behind the head that learned none of them, and learns in one lesson, through the
    gate, every other answer that the head had learned since. So it equals, blob for blob, what that one lesson, within
    the patch limits of all of them, would have made without these answers. Confirmed defects stay, but for those whose
    answers are revoked; what a rollback had undone stays undone. Where the gate approves nothing, the version that it
    started from is published as it was.

    Answers that taught nothing, as about known parts, are revoked and the head stays. Raises StoreError where no such
    version can be loaded any more, or the disk refuses; StaleParent where another
    process committed first. Asking again then, or after a crash, does what is left to do.
    """
    head = store.current()
    engine.ledger.revoke(ids, engine.clock_ms(), who, reason)
    taught = teaching_among(engine.ledger, ids)
    if not taught:
        return head.version
    base, spans = _base(store, head.version, taught)
    start = replace(
        base, snapshot=replace(base.snapshot, confirmed_defects=_starting_defects(engine, head, base, spans, taught))
    )
    # What the camera shows at this moment does not matter to answers of the past.
    rate = in_force(store, engine.settings.policy.false_reject_rate)
    outcome = propose_and_gate(engine, start, spans, CALM, rate)
    if isinstance(outcome, Hold):
        log.info("nothing is learned anew", version=base.version.number, reason=outcome.reason)
        snapshot, threshold = recalibrated(start.snapshot, rate)  # so that the defect memory forgets revoked ones
        unchanged = Proposal(start, snapshot, threshold, (), (), ())
        outcome = ApprovedProposal(unchanged, prove(snapshot, threshold))
    proposal = outcome.proposal
    then, now = head.snapshot.detector.samples, proposal.snapshot.detector.samples
    version = store.commit(
        proposal.snapshot,
        VersionDraft(
            parent=head.version,
            cause="revocation",
            who=who,
            created_at=iso(engine.clock_ms()),
            extractor=head.version.extractor,
            geometry=base.version.geometry,
            threshold=proposal.threshold.to_json(),
            added=tuple(s for s in now if s not in set(then)),
            removed=tuple(s for s in then if s not in set(now)),
            refused=proposal.refused,
            waiting=proposal.waiting,
            gate=gate_record(proposal, outcome.gate_report),
            feedback_through=head.version.feedback_through,
            restores=base.version.number,
            revoked=ids,
            spans=tuple((span.after, span.through) for span in spans),
        ),
    )
    put_into_effect(engine, Model(version, proposal.snapshot), proposal.refused)
    return version


def _base(store: Store, head: Version, ids: tuple[int, ...]) -> tuple[Model, Spans]:
    """The newest version behind `head` that learned none of `ids`, with the spans of answers learned since."""
    learned = [(head, Spans()), *_behind(store, head)]
    everything = learned[-1][1]
    guilty = {i for i in ids if _within(i, everything)}
    gone = ""
    for version, spans in learned:
        if all(_within(i, spans) for i in guilty):
            try:
                return store.load(version), spans
            except StoreError as error:  # retention removed it: start from an older one
                gone = error.came
    raise StoreError(
        expected="a version from before these answers",
        came=gone or "none",
        do="teach again from the folder of good parts; the answers themselves are revoked",
    )


def _behind(store: Store, head: Version) -> list[tuple[Version, Spans]]:
    """The versions that `head` grew from, newest first, each with the spans learned from there to `head`."""
    ancestors: list[tuple[Version, Spans]] = []
    version, spans = head, Spans()
    while version.cause != "teach" and (before := version.restores or version.parent):
        origin = store.version(before)
        if version.cause == "revocation":
            spans = (*(Span(*ends) for ends in version.spans), *spans)
        elif version.restores is None:
            spans = (Span(origin.feedback_through, version.feedback_through), *spans)
        ancestors.append((origin, spans))
        version = origin
    return ancestors


def _within(answer: int, spans: Spans) -> bool:
    return any(answer in span for span in spans)


def _starting_defects(engine: Engine, head: Model, base: Model, spans: Spans, ids: tuple[int, ...]) -> ConfirmedDefects:
    """The confirmed defects to start with: the base's, then those of the head that no span will add again; none that is
    revoked."""
    ledger = engine.ledger
    learned = agreed_in_span(ledger, Span(0, head.version.feedback_through))
    agreed = {answer.frame_id for answer in learned if answer.label is Label.DEFECT}
    revoked = frames_of_answers(ledger, ids) - agreed
    again = {answer.frame_id for span in spans for answer in agreed_in_span(ledger, span)} & agreed
    again = {frame_id for frame_id in again if (frame := ledger.frame(frame_id)) and engine.view(frame)}
    kept = [d for d in base.snapshot.confirmed_defects.defects if d.sample not in revoked]
    excluded = {d.sample for d in kept} | again | revoked
    return ConfirmedDefects((*kept, *(d for d in head.snapshot.confirmed_defects.defects if d.sample not in excluded)))
