"""A lesson's path, top to bottom: head, propose, gate, commit, activate. A Hold leaves early."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import structlog

from daemon.engine import Engine
from daemon.feedback import settled
from daemon.ledger import Ledger
from memory.errors import StoreError
from memory.replay import Defect, box_region, worst_region
from memory.store import Store
from memory.version import Model, Version
from policies.admission import Candidate, Confirmed, Hold, propose
from policies.gate import check, prove
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


def learn(engine: Engine, store: Store, cause: str) -> Version | Hold:
    """Make what was confirmed the next version, or hold with a reason; either is in the ledger afterwards.

    When the gate blames parts for a defect it would forget, they are quarantined and the rest is proposed
    again. Raises StoreError where the disk refuses (nothing has changed then), StaleParent where another
    process committed first.
    """
    base = current(store)
    head = base.version
    held: Hold | None = None
    while True:
        confirmed = _confirmed(engine, base)
        if held and not (confirmed.goods or confirmed.audited or confirmed.defects):
            return _held(engine, head, confirmed, held)
        seed = engine.settings.memory.seed + head.number
        proposal = propose(base, confirmed, engine.drift(), engine.settings.limits, seed)
        outcome = proposal if isinstance(proposal, Hold) else check(proposal)
        if isinstance(outcome, Hold):
            held = outcome
            _tell(engine, outcome)
            if outcome.blamed:
                engine.ledger.quarantine(outcome.blamed, engine.clock_ms(), outcome.reason)
                continue
            return _held(engine, head, confirmed, outcome)
        assert not isinstance(proposal, Hold)  # noqa: S101  # a held proposal returned above
        version = store.commit(
            proposal.contents,
            parent=head,
            cause=cause,
            who=_teachers(engine, head, proposal.through),
            created_at=iso(engine.clock_ms()),
            extractor=engine.extractor.fingerprint,
            threshold=proposal.threshold.to_json(),
            added=proposal.added,
            removed=proposal.removed,
            refused=proposal.refused,
            gate=outcome.to_json(),
            feedback_through=proposal.through,
        )
        if proposal.refused:
            engine.ledger.quarantine(proposal.refused, engine.clock_ms(), f"refused by version {version.number}")
        engine.ledger.learned(engine.clock_ms(), head.number, proposal.through, version.number, cause)
        announce(engine.ledger, version, engine.clock_ms())
        engine.activate(store.load(version))
        return version


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
        gate=prove(contents.bank, contents.replay, Threshold.of(old.version.threshold)).to_json(),
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


def _confirmed(engine: Engine, base: Model) -> Confirmed:
    """What operators agree on since the base, without what is quarantined, with features as they were scored."""
    last = engine.ledger.one("SELECT coalesce(max(id), 0) AS id FROM feedback")
    through = max(base.version.feedback_through, last["id"] if last else 0)
    aside = {row["frame_id"] for row in engine.ledger.all("SELECT frame_id FROM quarantine")}
    goods: list[Candidate] = []
    held: list[Candidate] = []
    defects: list[Defect] = []
    for answer in settled(engine.ledger, base.version.feedback_through, through):
        row = engine.ledger.frame(answer.frame_id)
        if row is None or answer.frame_id in aside:
            continue
        features = engine.features(row)
        if features is None:
            engine.ledger.event(engine.clock_ms(), "image_lost", frame_id=answer.frame_id)
        elif answer.verdict == "defect":
            anomaly = base.contents.bank.score(features).map
            marked = box_region(answer.region, features.grid) if answer.region else None
            defects.append(Defect(answer.frame_id, features, worst_region(anomaly, marked)))
        else:
            (held if row["audited"] else goods).append(Candidate(answer.frame_id, features))
    return Confirmed(tuple(goods), tuple(held), tuple(defects), through)


def _teachers(engine: Engine, head: Version, through: int) -> str:
    rows = engine.ledger.all(
        "SELECT DISTINCT operator FROM feedback WHERE id > ? AND id <= ? ORDER BY operator",
        head.feedback_through,
        through,
    )
    return ", ".join(row["operator"] for row in rows) or "schedule"


def _tell(engine: Engine, hold: Hold) -> None:
    engine.ledger.event(engine.clock_ms(), "hold", reason=hold.reason, blamed=list(hold.blamed))
    log.warning("lesson held", reason=hold.reason, blamed=list(hold.blamed))


def _held(engine: Engine, head: Version, confirmed: Confirmed, hold: Hold) -> Hold:
    """The lesson ends here: only now is what was confirmed no longer due, or a crash would lose a lesson."""
    engine.ledger.learned(engine.clock_ms(), head.number, confirmed.through, None, hold.reason)
    return hold
