"""Whether the audit log is what was written, and says what the ledger and the store hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from daemon.clock import iso
from daemon.ledger.audit_log import AuditEntry, AuditFilter, entries
from daemon.ledger.chain import FIRST, Change, answers_and_revocations, digest_of
from daemon.ledger.state import State
from memory.version import Version

HELD = ("answer", "revocation")
Said = tuple[str, int, str, str, str]


@dataclass(frozen=True)
class Proof:
    """What came of looking at the whole audit log: how many entries, the newest one's digest, and what is wrong, in
    words; nothing is where it is as it was written."""

    entries: int
    digest: str
    faults: tuple[str, ...]


def verify(state: State, noted: str | None = None) -> Proof:
    """Look at every entry, and at the answers, revocations and versions that must have one. `noted` is a digest that
    somebody kept elsewhere: it must be in the log."""
    versions = state.store.history()  # first: what is committed meanwhile is told after it
    with state.ledger.database.reading() as db:
        log, held = list(entries(state.ledger, AuditFilter())), list(answers_and_revocations(db))
    faults = list(_broken(log)) or [*_differing(held, log), *_versions(versions, log)]
    faults += [f"damaged: {line}" for line in state.store.damaged()]
    if noted is not None and noted not in {entry.digest for entry in log}:
        faults.append(f"no entry has the digest {noted}: the log is not the one that it was noted from, or was cut")
    return Proof(len(log), log[-1].digest if log else FIRST, tuple(faults))


def _broken(log: list[AuditEntry]) -> Iterator[str]:
    """Where an entry is not what was written after the one before."""
    before = FIRST
    for number, entry in enumerate(log, start=1):
        if entry.id != number:
            yield f"entry {number} is missing: the one in its place has the number {entry.id}"
            return
        written = digest_of(before, entry.id, entry.at_ms, entry.kind, entry.who, entry.what, entry.detail)
        if written != entry.digest:
            yield f"entry {number} is not what was written ({entry.kind} by {entry.who}, {entry.what})"
        before = entry.digest


def _differing(changes: list[Change], log: list[AuditEntry]) -> Iterator[str]:
    """Answers and revocations that differ from their entries, or have none; and entries without them."""
    told = Counter(_said(e.at_ms, e.kind, e.who, e.what, json.loads(e.detail)) for e in log if e.kind in HELD)
    held = Counter(_said(*change) for change in changes)
    for kind, at_ms, who, what, _ in held - told:
        yield f"the ledger holds the {kind} of {who} about {what}, {iso(at_ms)}, and no entry tells it so"
    for kind, at_ms, who, what, _ in told - held:
        yield f"an entry tells the {kind} of {who} about {what}, {iso(at_ms)}, and the ledger does not hold it so"


def _said(at_ms: int, kind: str, who: str, what: str, detail: dict[str, Any]) -> Said:
    return kind, at_ms, who, what, json.dumps({k: v for k, v in detail.items() if k != "adopted"}, sort_keys=True)


def _versions(versions: list[Version], log: list[AuditEntry]) -> Iterator[str]:
    """Versions that the log tells otherwise than their manifests, which are kept for ever; one that was committed a
    moment ago is told next."""
    told = {int(entry.what): json.loads(entry.detail)["sha256"] for entry in log if entry.kind == "version"}
    held = {version.number: version.sha256 for version in versions}
    for number in sorted(told.keys() | {one for one in held if one <= max(told, default=0)}):
        if held.get(number) != told.get(number):
            yield (
                f"version {number} is not the one that the log tells"
                if number in held
                else (f"version {number}, which the log tells, has no manifest any more")
            )
