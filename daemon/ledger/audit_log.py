"""The audit log as it is read, and the settings that it tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.ledger.chain import append
from daemon.ledger.ledger import Ledger

SETTINGS = "settings"
BY = "config.yaml"  # or the environment, or the command line: who changed them is not known


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the audit log: what `kind` of change `who` made to `what` (a frame, a version, a setting), as
    `detail` in JSON says, and the entry's digest."""

    id: int
    at_ms: int
    kind: str
    who: str
    what: str
    detail: str
    digest: str


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are asked for: from and until a time (Unix, ms), by whom, of which kind, and about which frame,
    part or version; None lets all pass."""

    since_ms: int | None = None
    until_ms: int | None = None
    who: str | None = None
    kind: str | None = None
    what: str | None = None


def entries(ledger: Ledger, wanted: AuditFilter) -> Iterator[AuditEntry]:
    """The entries that are asked for, in the order in which they were written."""
    rows = ledger.database.rows(
        "SELECT * FROM audit WHERE at_ms BETWEEN ?1 AND ?2 AND who = coalesce(?3, who) AND kind = coalesce(?4, kind)"
        " AND (?5 IS NULL OR what = ?5 OR what IN (SELECT frame_id FROM frames WHERE part_id = ?5)) ORDER BY id",
        wanted.since_ms or 0,
        2**62 if wanted.until_ms is None else wanted.until_ms,
        wanted.who,
        wanted.kind,
        wanted.what,
    )
    return (AuditEntry(*row) for row in rows)


def note_settings(ledger: Ledger, at_ms: int, settings: Mapping[str, Any]) -> None:
    """Tell the settings by which a line judges and learns from now on, by their whole names, and which of them have
    changed, each with its old and new value; nothing where none has."""
    with ledger.database.write() as db:
        row = db.execute("SELECT detail FROM audit WHERE kind = ? ORDER BY id DESC LIMIT 1", (SETTINGS,)).fetchone()
        before = json.loads(row["detail"])["now"] if row else {}
        now = json.loads(json.dumps(settings, default=str))  # as it is read again
        names = sorted({*before, *now}) if row else []
        changed = {name: [before.get(name), now.get(name)] for name in names if before.get(name) != now.get(name)}
        if changed or not row:
            append(db, at_ms, SETTINGS, BY, ", ".join(changed), {"changed": changed, "now": now})
