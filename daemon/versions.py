"""What every new version goes through, whoever makes it; and the way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import structlog

from daemon import scene
from daemon.engine import Engine
from daemon.ledger import Ledger, Row
from memory.errors import StoreError
from memory.store import Store
from memory.version import Model, Version
from policies.admission import Proposal
from policies.gate import Passed, prove
from policies.threshold import Threshold

log = structlog.get_logger()


def current(store: Store) -> Model:
    """The head with its contents. Raises StoreError in an empty store."""
    head = store.head()
    if head is None:
        raise StoreError(expected="a taught version", came="an empty store", do="run `driftline teach DIR`")
    return store.load(head)


def threshold_behind(store: Store, row: Row) -> Threshold | None:
    """The threshold that a scored frame was judged by, with the scores that it was calibrated on; None where its
    version cannot be read any more, or nothing was scored."""
    if row["version"] is None or row["threshold"] is None:
        return None
    try:
        pooled = Threshold.of(store.version(row["version"]).threshold)
    except StoreError:
        return None
    return replace(pooled.under(scene.regime(row)), value=row["threshold"])


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


def gate_record(proposal: Proposal, passed: Passed) -> dict[str, object]:
    """What the manifest says of the gate, and which good patches (sample, number) left the bank for which defect."""
    remedied = {made.defect: [list(patch) for patch in made.unadmitted] for made in proposal.remedies}
    return {**passed.to_json(), **({"remedied": remedied} if remedied else {})}


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


def minute(at_ms: int) -> str:
    """A Unix time in ms for people: in UTC, to the minute."""
    return to_the_minute(iso(at_ms))


def to_the_minute(at: str) -> str:
    """A time in ISO 8601 for people."""
    return at[:16].replace("T", " ")


def iso(at_ms: int) -> str:
    """A Unix time in ms as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
