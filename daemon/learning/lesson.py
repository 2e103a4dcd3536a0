"""A lesson, from the head to a new version: propose, gate, trial, commit, activate. A Hold ends it early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import structlog

from daemon.clock import iso
from daemon.inference import scene_records
from daemon.inference.engine import Engine
from daemon.inference.shadow import LessonTicket, Trial
from daemon.intake.positioning import as_taught
from daemon.learning import trials
from daemon.learning.answers import agreed_in_span, agreed_on
from daemon.learning.operating_point import in_force
from daemon.learning.publish import gate_record, put_into_effect
from daemon.ledger.answers import answers_after, count_revoked, last_answer, operators_in
from daemon.ledger.frames import last_seq
from daemon.ledger.history import learned_through, set_aside
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import RecordedAnswer, Span
from drift.monitor import CALM, DriftState, Trust
from drift.regimes import Sighting
from memory.defects import Defect, box_mask, worst_patches
from memory.detector import GoodPart
from memory.errors import StaleParent
from memory.features import PatchMask, View
from memory.store import Store
from memory.version import Model, Version, VersionDraft
from policies.admission import Hold, LabelledParts
from policies.fitting import telling
from policies.lesson import ApprovedProposal, decide
from policies.shadow import ShadowReport, weigh
from policies.verdict import Label

log = structlog.get_logger()


def due(engine: Engine, at_least: int) -> bool:
    """Whether a lesson is due: a trial is under way, or there are `at_least` that many unlearned answers."""
    if engine.active is None:
        return False
    head = engine.active.model.version
    if trials.under_way(engine.ledger, head.number):
        return True
    return unlearned(engine.ledger, head) >= at_least


def unlearned(ledger: Ledger, head: Version) -> int:
    """The number of answers since this version or the last held lesson, whichever is later."""
    return answers_after(ledger, max(head.feedback_through, learned_through(ledger)))


def learn(engine: Engine, store: Store, cause: str) -> Version | Hold | Trial:
    """Learn what was confirmed: make the next version, or hold with a reason; the ledger records either.

    With `policy.shadow_frames` a proposal first stands trial: the first call begins it, or resumes it after a restart,
    and the first call after its end decides.

    Raises StoreError where the disk refuses (nothing has changed then), StaleParent where another process
    committed first.
    """
    trial, frames = engine.trial, engine.settings.policy.shadow_frames
    if trial is None:
        base = current_base(engine, store)
        before = trials.under_way(engine.ledger, base.version.number)
        lesson = before or _new_ticket(engine, base.version, cause)
        spans = (Span(base.version.feedback_through, lesson.through),)
        revoked = count_revoked(engine.ledger, lesson.through)
        # What was on trial before a restart was proposed when the scene was trusted.
        rate = in_force(store, engine.settings.policy.false_reject_rate)
        outcome = propose_and_gate(engine, base, spans, CALM if before else engine.drift(), rate)
        if isinstance(outcome, Hold):
            return _record_hold(engine, lesson, outcome)
        trial = Trial(outcome, lesson, revoked)
        if frames and not before:
            trials.begin(engine.ledger, lesson)
            engine.ledger.event(engine.clock_ms(), "trial", frames=frames, added=list(outcome.proposal.added))
            log.info("proposal on trial", frames=frames)
    if frames and (trials.seen(engine.ledger, trial.ticket) < frames or engine.drift().trust is Trust.UNTRUSTED):
        trial.approved.proposal.snapshot.detector.warm_up()
        engine.trial = trial
        return trial
    report = _outcome(engine, trial) if frames else None
    if isinstance(report, Hold):
        return report
    if count_revoked(engine.ledger, trial.ticket.through) != trial.revoked:
        return _drop(engine, "answers were taken back meanwhile")
    try:
        return _commit(engine, store, trial, report)
    except StaleParent:
        _drop(engine, "another version came first")
        raise


def _new_ticket(engine: Engine, head: Version, cause: str) -> LessonTicket:
    through = max(head.feedback_through, last_answer(engine.ledger))
    return LessonTicket(head.number, cause, through, last_seq(engine.ledger))


def _outcome(engine: Engine, trial: Trial) -> ShadowReport | Hold:
    """The outcome of a trial by people's answers. Where people have changed their answers about what was taught, it is
    dropped, and its answers are due again."""
    lesson, base = trial.ticket, trial.approved.proposal.base
    latest = last_answer(engine.ledger)
    taught = _agreed(engine, base, (Span(base.version.feedback_through, lesson.through),))
    today = {a.frame_id: a for a in agreed_on(engine.ledger, tuple(taught), latest)}
    if {name: a.label for name, a in taught.items()} != {name: a.label for name, a in today.items()}:
        return _drop(engine, "people have changed their minds about what it was taught")
    disagreed = trials.disagreements(engine.ledger, lesson)
    answers = {a.frame_id: a.label for a in agreed_on(engine.ledger, [d.frame_id for d in disagreed], latest)}
    report = weigh(trials.seen(engine.ledger, lesson), disagreed, answers)
    if isinstance(report, Hold):
        _report_hold(engine, report)
        return _record_hold(engine, lesson, report)
    return report


def _commit(engine: Engine, store: Store, trial: Trial, report: ShadowReport | None) -> Version:
    proposal, lesson = trial.approved.proposal, trial.ticket
    head = proposal.base.version
    gate = gate_record(proposal, trial.approved.gate_report)
    version = store.commit(
        proposal.snapshot,
        VersionDraft(
            parent=head,
            cause=lesson.cause,
            who=_teachers(engine, head, lesson.through),
            created_at=iso(engine.clock_ms()),
            extractor=engine.extractor.fingerprint,
            geometry=head.geometry,
            threshold=proposal.threshold.to_json(),
            added=proposal.added,
            removed=proposal.removed,
            refused=proposal.refused,
            waiting=proposal.waiting,
            gate=gate | ({"trial": asdict(report)} if report else {}),
            feedback_through=lesson.through,
        ),
    )
    engine.trial = None
    put_into_effect(engine, Model(version, proposal.snapshot), proposal.refused)
    if count_revoked(engine.ledger, lesson.through) != trial.revoked:  # in the moment of the commit
        engine.ledger.event(engine.clock_ms(), "learned_taken_back", version=version.number)
        log.warning("an answer was taken back while this version was committed: revoke it", version=version.number)
    return version


def _drop(engine: Engine, reason: str) -> Hold:
    """End the trial, if there is one, without a decision."""
    if engine.trial is not None:
        engine.ledger.event(engine.clock_ms(), "trial_dropped", reason=reason)
    _end(engine)
    return Hold(reason)


def _record_hold(engine: Engine, lesson: LessonTicket, hold: Hold) -> Hold:
    """Record a held lesson. Its answers are no longer due only from now on, or a crash would lose a lesson."""
    engine.ledger.record_lesson(engine.clock_ms(), lesson.base, lesson.through, None, hold.reason)
    _end(engine)
    return hold


def _end(engine: Engine) -> None:
    engine.trial = None
    trials.end(engine.ledger)


def _report_hold(engine: Engine, hold: Hold) -> None:
    engine.ledger.event(engine.clock_ms(), "hold", reason=hold.reason, blamed=list(hold.blamed))
    (log.info if hold.calm else log.warning)("lesson held", reason=hold.reason, blamed=list(hold.blamed))


def propose_and_gate(
    engine: Engine, base: Model, spans: Sequence[Span], drift: DriftState, rate: float
) -> ApprovedProposal | Hold:
    """The proposal from `base` with the answers of `spans` at this false-reject rate, if the gate approves it.

    Samples that the gate blames for a defect that would be missed are quarantined, and the rest is proposed again. Each
    span was a lesson, so together they may add as many patches as that many lessons.
    """
    limits = engine.settings.limits
    capacity = replace(limits.capacity, lesson=limits.capacity.lesson * len(spans))
    limits = replace(limits, capacity=capacity, rate=rate)
    seed = engine.settings.memory.seed + base.version.number
    outcome, holds = decide(base, _confirmed(engine, base, spans), drift, limits, seed)
    for hold in holds:
        _report_hold(engine, hold)
        engine.ledger.quarantine(hold.blamed, engine.clock_ms(), hold.reason)
    return outcome


def current_base(engine: Engine, store: Store) -> Model:
    """The head, as the active model where that is the head: its cached neighbours are reused then. It is activated
    where it is not, since parts are seen again as the active version sees them."""
    head, active = store.head(), engine.active
    if head is not None and active is not None and active.model.version.sha256 == head.sha256:
        return active.model
    model = store.current()
    engine.activate(model)
    return model


def _confirmed(engine: Engine, base: Model, spans: Sequence[Span]) -> LabelledParts:
    """The parts that operators agree on, in `spans` and among those that wait, without quarantined good parts; each
    with its view as it was scored."""
    quarantined = {confirmation.frame_id for confirmation in set_aside(engine.ledger)}
    goods: list[GoodPart] = []
    audited: list[GoodPart] = []
    defects: list[Defect] = []
    sightings: dict[str, Sighting] = {}
    for answer in _agreed(engine, base, spans).values():
        frame = engine.ledger.frame(answer.frame_id)
        if frame is None or (answer.label is Label.GOOD and answer.frame_id in quarantined):
            continue
        seen = engine.seen(frame)
        if seen is None:
            engine.ledger.event(engine.clock_ms(), "image_lost", frame_id=answer.frame_id)
        elif answer.label is Label.DEFECT:
            mark = None if answer.box is None else box_mask(answer.box, seen.view.features.grid)
            if mark is not None:
                mark = as_taught(mark, seen.placement, engine.extractor.shapes.stride_px)
            defects.append(_defect(answer.frame_id, seen.view, mark, base))
        else:
            kept = telling(base.snapshot.detector, seen.view, answer.frame_id)
            good = GoodPart(answer.frame_id, View(kept, seen.view.image), frame.part_id)
            (audited if frame.audited else goods).append(good)
            sighting = scene_records.sighting(frame, base)
            if sighting is not None:
                sightings[answer.frame_id] = sighting
    return LabelledParts(tuple(goods), tuple(audited), tuple(defects), sightings)


def _defect(frame_id: str, view: View, mark: PatchMask | None, base: Model) -> Defect:
    """The defect that an answer confirms: the most anomalous patches of its `mark` (rows, columns), or of the image
    where that holds none of the patches that are judged."""
    features = view.features
    judged = features.to_map(np.ones(len(features), dtype=bool))
    marked = judged if mark is None else judged & mark
    if not marked.any():
        log.warning("the mark lies outside the region: the whole part is looked at", frame=frame_id)
    anomaly = base.snapshot.detector.score_in(view, np.ones(features.grid, dtype=bool)).map
    mask = worst_patches(anomaly, marked if marked.any() else judged)
    return Defect(frame_id, features.thinned(features.of_map(mask)), mask)


def _agreed(engine: Engine, base: Model, spans: Sequence[Span]) -> dict[str, RecordedAnswer]:
    """The answers that people agree on, by frame, about parts that wait and frames answered in `spans`. A frame
    answered in several spans counts once, by what was agreed on last."""
    latest = spans[-1].through if spans else base.version.feedback_through
    agreed = {a.frame_id: a for a in agreed_on(engine.ledger, base.version.waiting, latest)}
    return agreed | {a.frame_id: a for span in spans for a in agreed_in_span(engine.ledger, span)}


def _teachers(engine: Engine, head: Version, through: int) -> str:
    operators = operators_in(engine.ledger, Span(head.feedback_through, through))
    return ", ".join(operators) or "schedule"
