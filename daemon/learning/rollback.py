"""Rollback: an old version's snapshot as a new version."""

from __future__ import annotations

from dataclasses import replace

from daemon.clock import iso
from daemon.intake.positioning import same_position, template_of
from daemon.learning.publish import announce
from daemon.ledger.ledger import Ledger
from memory.defects import ConfirmedDefects
from memory.errors import StoreError
from memory.geometry import same_canvas
from memory.store import Store
from memory.version import Model, Version, VersionDraft
from policies.gate import prove
from policies.threshold import Threshold


def roll_back(store: Store, ledger: Ledger, number: int, who: str, now_ms: int) -> Version:
    """Commit a version with the snapshot of version `number` and today's confirmed defects; nothing is learned by it.

    Its gate record lists the confirmed defects that it misses. Raises StoreError where that version is gone, was taught
    with another extractor, or the disk refuses.
    """
    head, old = store.current(), store.load(store.version(number))
    if old.version.extractor != head.version.extractor:
        raise StoreError(
            expected="a version of today's extractor",
            came=f"version {number}, taught with another",
            do="teach again instead: confirmed defects cannot be compared across extractors",
        )
    snapshot = replace(old.snapshot, confirmed_defects=_todays_defects(old, head))
    then, now = old.snapshot.detector.samples, head.snapshot.detector.samples
    version = store.commit(
        snapshot,
        VersionDraft(
            parent=head.version,
            cause="rollback",
            who=who,
            created_at=iso(now_ms),
            extractor=head.version.extractor,
            geometry=old.version.geometry,
            threshold=old.version.threshold,
            added=tuple(s for s in then if s not in set(now)),
            removed=tuple(s for s in now if s not in set(then)),
            gate=prove(snapshot, Threshold.of(old.version.threshold)).to_json(),
            feedback_through=head.version.feedback_through,
            restores=number,
        ),
    )
    announce(ledger, version, now_ms)
    return version


def _todays_defects(old: Model, head: Model) -> ConfirmedDefects:
    """Today's confirmed defects, as seen in the geometry and position of `old`. Raises StoreError for one that never
    was."""
    todays, known = head.snapshot.confirmed_defects, old.snapshot.confirmed_defects
    templates = [template_of(model.snapshot.reference) for model in (old, head)]
    if same_canvas(old.version.geometry, head.version.geometry) and same_position(*templates):
        return todays
    unknown = set(todays.samples) - set(known.samples)
    if unknown:
        raise StoreError(
            expected="a version of today's geometry, for defects confirmed since",
            came=f"version {old.version.number}, of another; {len(unknown)} defects were never seen under it",
            do="teach again instead, from the folder and with the region of then",
        )
    return ConfirmedDefects(tuple(defect for defect in known.defects if defect.sample in todays.samples))
