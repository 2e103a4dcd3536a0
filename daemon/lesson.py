"""A lesson's path, top to bottom: head, propose, gate, trial, commit, activate. A Hold leaves early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

import structlog

from daemon.engine import Engine
from daemon.feedback import settled, standing
from daemon.ledger import Ledger
from daemon.shadow import Told, Trial
from drift.monitor import DriftState
from memory.errors import StoreError
from memory.replay import Defect, box_region, worst_region
from memory.store import Store
from memory.version import Model, Version
from policies.admission import Confirmed, Hold, Proposal
from policies.gate import Passed, prove
from policies.lesson import Proven, decide
from policies.screening import Candidate
from policies.shadow import settle_trial
from policies.threshold import Threshold

log = structlog.get_logger()


def due(engine: Engine, at_least: int) -> bool:
    """Whether so many were confirmed since the active version or the last held lesson, whichever knows more."""
    if engine.active is None:
        return False
    row = engine.ledger.one("SELECT coalesce(max(through), 0) AS through FROM lessons")
    known = max(engine.active.model.version.feedback_through, row["through"] if row else 0)
    new = engine.ledger.one("SELECT count(*) AS n FROM feedback WHERE id > ? AND effect <> 'late'", known)
    return bool(new and new["n"] >= at_least)


def learn(engine: Engine, store: Store, cause: str) -> Version | Hold | Trial:
    """Make what was confirmed the next version, or hold with a reason; either is in the ledger afterwards.

    With `policy.shadow_frames` the proposal first stands trial, and the call after the trial's end publishes or holds
    it; a call before that changes nothing.

    Raises StoreError where the disk refuses (nothing has changed then), StaleParent where another process
    committed first.
    """
    trial = engine.trial
    if trial is None:
        base = _base(engine, store)
        through = max(base.version.feedback_through, _last_answer(engine))
        outcome = proven(engine, base, ((base.version.feedback_through, through),), engine.drift())
        if isinstance(outcome, Hold):
            return _held(engine, base.version, through, outcome)
        trial = Trial(outcome, Told(cause, through), engine.settings.policy.shadow_frames)
        if not trial.over:
            engine.trial = trial
            engine.ledger.event(engine.clock_ms(), "trial", frames=trial.frames, added=list(outcome.proposal.added))
            log.info("proposal on trial", frames=trial.frames)
    if not trial.over:
        return trial
    engine.trial = None
    return _published_after(engine, store, trial)


def _published_after(engine: Engine, store: Store, trial: Trial) -> Version | Hold:
    """What becomes of a proposal whose trial is over."""
    proposal, told = trial.proven.proposal, trial.told
    head = proposal.base.version
    agreed = standing(engine.ledger, tuple(trial.disagreed), _last_answer(engine))
    answers = {answer.frame_id: answer.verdict for answer in agreed}
    trust = settle_trial(trial.seen, tuple(trial.disagreed.values()), answers)
    if isinstance(trust, Hold):
        return _held(engine, head, told.through, trust)
    gate = gate_record(proposal, trial.proven.passed)
    version = store.commit(
        proposal.contents,
        parent=head,
        cause=told.cause,
        who=_teachers(engine, head, told.through),
        created_at=iso(engine.clock_ms()),
        extractor=engine.extractor.fingerprint,
        threshold=proposal.threshold.to_json(),
        added=proposal.added,
        removed=proposal.removed,
        refused=proposal.refused,
        waiting=proposal.waiting,
        gate=gate | ({"trial": asdict(trust)} if trial.frames else {}),
        feedback_through=told.through,
    )
    published(engine, Model(version, proposal.contents), proposal.refused)
    return version


def _held(engine: Engine, head: Version, through: int, hold: Hold) -> Hold:
    """Only now is what was confirmed no longer due, or a crash would lose a lesson."""
    engine.ledger.learned(engine.clock_ms(), head.number, through, None, hold.reason)
    return hold


def proven(engine: Engine, base: Model, spans: Sequence[tuple[int, int]], drift: DriftState) -> Proven | Hold:
    """What `base` becomes by the answers of `spans`, each (after, through], if the gate lets it.

    Whom the gate blames for a defect it would forget is quarantined; the rest was proposed again.
    Each span was a lesson, so together they may add as many patches as so many lessons.
    """
    limits = engine.settings.limits
    limits = replace(limits, lesson=limits.lesson * len(spans))
    seed = engine.settings.memory.seed + base.version.number
    outcome, holds = decide(base, _confirmed(engine, base, spans), drift, limits, seed)
    for hold in holds:
        engine.ledger.event(engine.clock_ms(), "hold", reason=hold.reason, blamed=list(hold.blamed))
        log.warning("lesson held", reason=hold.reason, blamed=list(hold.blamed))
        engine.ledger.quarantine(hold.blamed, engine.clock_ms(), hold.reason)
    return outcome


def gate_record(proposal: Proposal, passed: Passed) -> dict[str, object]:
    """What the manifest says of the gate, and which good patches (sample, number) left the bank for which defect."""
    remedied = {made.defect: [list(patch) for patch in made.unadmitted] for made in proposal.remedies}
    return {**passed.to_json(), **({"remedied": remedied} if remedied else {})}


def published(engine: Engine, model: Model, refused: tuple[str, ...]) -> None:
    """A committed lesson takes effect: parts refused are set aside, the ledger knows, the engine judges with it."""
    version = model.version
    if refused:
        engine.ledger.quarantine(refused, engine.clock_ms(), f"refused by version {version.number}")
    base = version.parent or 0
    engine.ledger.learned(engine.clock_ms(), base, version.feedback_through, version.number, version.cause)
    for defect, patches in version.gate.get("remedied", {}).items():
        engine.ledger.event(engine.clock_ms(), "remedied", frame_id=defect, version=version.number, unadmitted=patches)
        log.info("missed defect remedied", frame=defect, unadmitted=len(patches))
    announce(engine.ledger, version, engine.clock_ms())
    engine.activate(model)


def rollback(store: Store, ledger: Ledger, number: int, who: str, now_ms: int) -> Version:
    """A new version with the contents of `number` and today's replay set; nothing is learned anew by it.

    Its gate record lists the confirmed defects it misses. Raises StoreError where that version is gone, was
    taught with another extractor, or the disk refuses.
    """
    head, old = current(store), store.load(store.version(number))
    if old.version.extractor != head.version.extractor:
        raise StoreError(
            expected="a version of today's extractor",
            came=f"version {number}, taught with another",
            do="teach again instead: confirmed defects cannot be compared across extractors",
        )
    contents = replace(old.contents, replay=head.contents.replay)
    then, now = old.contents.bank.samples, head.contents.bank.samples
    version = store.commit(
        contents,
        parent=head.version,
        cause="rollback",
        who=who,
        created_at=iso(now_ms),
        extractor=head.version.extractor,
        threshold=old.version.threshold,
        added=tuple(s for s in then if s not in set(now)),
        removed=tuple(s for s in now if s not in set(then)),
        gate=prove(contents, Threshold.of(old.version.threshold)).to_json(),
        feedback_through=head.version.feedback_through,
        restores=number,
    )
    announce(ledger, version, now_ms)
    return version


def current(store: Store) -> Model:
    """The head with its contents. Raises StoreError in an empty store."""
    head = store.head()
    if head is None:
        raise StoreError(expected="a taught version", came="an empty store", do="run `driftline teach DIR`")
    return store.load(head)


def _base(engine: Engine, store: Store) -> Model:
    """The head, as the engine holds it where it is active: what is known of its calibration parts then stays known."""
    head, active = store.head(), engine.active
    if head is not None and active is not None and active.model.version.sha256 == head.sha256:
        return active.model
    return current(store)


def announce(ledger: Ledger, version: Version, now_ms: int) -> None:
    """Tell the ledger of a committed version, and through it the events stream; telling twice changes nothing."""
    heading = {
        "cause": version.cause,
        "who": version.who,
        "created_at": version.created_at,
        "sha256": version.sha256,
    }
    taught = {"added": len(version.added), "refused": list(version.refused), "threshold": version.threshold["value"]}
    ledger.saw_version(version.number, heading, now_ms, cause=version.cause, who=version.who, **taught)


def iso(at_ms: int) -> str:
    """A Unix time in ms as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _confirmed(engine: Engine, base: Model, spans: Sequence[tuple[int, int]]) -> Confirmed:
    """What operators agree on in `spans` and of parts that wait since before, without goods that are quarantined,
    with features as they were scored."""
    aside = {row["frame_id"] for row in engine.ledger.all("SELECT frame_id FROM quarantine")}
    # A frame answered in several spans counts once, by what was agreed on last.
    latest = spans[-1][1] if spans else base.version.feedback_through
    agreed = {a.frame_id: a for a in standing(engine.ledger, base.version.waiting, latest)}
    agreed |= {a.frame_id: a for after, through in spans for a in settled(engine.ledger, after, through)}
    goods: list[Candidate] = []
    audited: list[Candidate] = []
    defects: list[Defect] = []
    for answer in agreed.values():
        row = engine.ledger.frame(answer.frame_id)
        if row is None or (answer.verdict == "good" and answer.frame_id in aside):
            continue
        features = engine.features(row)
        if features is None:
            engine.ledger.event(engine.clock_ms(), "image_lost", frame_id=answer.frame_id)
        elif answer.verdict == "defect":
            anomaly = base.contents.bank.contrast(features).map
            marked = box_region(answer.region, features.grid) if answer.region else None
            defects.append(Defect(answer.frame_id, features, worst_region(anomaly, marked)))
        else:
            (audited if row["audited"] else goods).append(Candidate(answer.frame_id, features, row["part_id"]))
    return Confirmed(tuple(goods), tuple(audited), tuple(defects))


def _last_answer(engine: Engine) -> int:
    last = engine.ledger.one("SELECT coalesce(max(id), 0) AS id FROM feedback")
    return int(last["id"]) if last else 0


def _teachers(engine: Engine, head: Version, through: int) -> str:
    rows = engine.ledger.all(
        "SELECT DISTINCT operator FROM feedback WHERE id > ? AND id <= ? ORDER BY operator",
        head.feedback_through,
        through,
    )
    return ", ".join(row["operator"] for row in rows) or "schedule"
