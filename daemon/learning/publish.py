"""The steps after every commit: the new version is recorded, announced and activated."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from daemon.clock import iso
from daemon.inference.engine import Engine
from daemon.ledger.ledger import Ledger
from memory.store import Store
from memory.version import Model, Version, VersionDraft
from policies.admission import Proposal
from policies.gate import GateReport

log = structlog.get_logger()


def put_into_effect(engine: Engine, model: Model, refused: tuple[str, ...]) -> None:
    """Put a committed lesson into effect: set refused parts aside, record it in the ledger, judge with it."""
    version = model.version
    if refused:
        engine.ledger.quarantine(refused, engine.clock_ms(), f"refused by version {version.number}")
    base = version.parent or 0
    engine.ledger.record_lesson(engine.clock_ms(), base, version.feedback_through, version.number, version.cause)
    for defect, patches in version.gate.get("remedied", {}).items():
        engine.ledger.event(engine.clock_ms(), "remedied", frame_id=defect, version=version.number, unadmitted=patches)
        log.info("missed defect remedied", frame=defect, unadmitted=len(patches))
    announce(engine.ledger, version, engine.clock_ms())
    engine.activate(model)


def gate_record(proposal: Proposal, report: GateReport) -> dict[str, object]:
    """The manifest's record of the gate, and of remedies: by defect, the patches (sample, number) that were removed."""
    remedied = {one.defect: [list(patch) for patch in one.removed_patches] for one in proposal.remedies}
    return {**report.to_json(), **({"remedied": remedied} if remedied else {})}


def commit_recalibration(
    store: Store, ledger: Ledger, proposal: Proposal, cause: str, who: str, gate: Mapping[str, object], now_ms: int
) -> Version:
    """Commit and announce a proposal that adds and removes no sample. Raises StoreError where the disk refuses, and
    StaleParent where another version came first."""
    base = proposal.base.version
    version = store.commit(
        proposal.snapshot,
        VersionDraft(
            parent=base,
            cause=cause,
            who=who,
            created_at=iso(now_ms),
            extractor=base.extractor,
            geometry=base.geometry,
            threshold=proposal.threshold.to_json(),
            gate=gate,
            waiting=base.waiting,
            feedback_through=base.feedback_through,
        ),
    )
    announce(ledger, version, now_ms)
    return version


def announce(ledger: Ledger, version: Version, now_ms: int) -> None:
    """Record a committed version in the ledger, and so in the events stream; a second call changes nothing."""
    heading = {
        "cause": version.cause,
        "who": version.who,
        "created_at": version.created_at,
        "sha256": version.sha256,
    }
    taught = {
        "parent": version.parent,
        "added": len(version.added),
        "removed": len(version.removed),
        "refused": list(version.refused),
        "threshold": version.threshold["value"],
        "rate": version.threshold["rate"],
    }
    ledger.record_version(version.number, heading, now_ms, cause=version.cause, who=version.who, **taught)
