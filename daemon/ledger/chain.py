"""The audit log: every change of what the line knows, each entry chained to the one before by its digest.

An entry's digest is SHA-256 over the digest before it and its own fields, so that no entry can be changed, left out or
put in later without changing all digests that follow (Haber and Stornetta 1991). Who notes the newest digest elsewhere
can prove the log up to there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from daemon.clock import from_iso
from daemon.ledger.database import Connection, Row

AUDITED = 12  # the step of the schema that brings the log
Change = tuple[int, str, str, str, dict[str, Any]]  # when (Unix, ms), its kind, by whom, of what, and the detail
FIRST = ""  # the digest before the first entry


def append(db: Connection, at_ms: int, kind: str, who: str, what: str, detail: Mapping[str, Any]) -> None:
    """Add an entry at the end of the log, within a transaction."""
    last = db.execute("SELECT id, digest FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    number, before = (last["id"] + 1, last["digest"]) if last else (1, FIRST)
    text = json.dumps(detail, ensure_ascii=False, default=str)
    digest = digest_of(before, number, at_ms, kind, who, what, text)
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (number, at_ms, kind, who, what, text, digest))


def append_version(
    db: Connection, at_ms: int, number: int, heading: Mapping[str, str], detail: Mapping[str, Any]
) -> None:
    """Add the entry of a version, with what the threshold and the false-reject rate were before it."""
    made_from = "SELECT detail FROM audit WHERE kind = 'version' AND what = ? ORDER BY id DESC"
    parent = db.execute(made_from, (str(detail.get("parent")),)).fetchone()
    known = json.loads(parent["detail"]) if parent else {}
    was = {name: known[name] for name in ("threshold", "rate") if name in known}
    append(db, at_ms, "version", heading["who"], str(number), {"sha256": heading["sha256"], **detail, "was": was})


def digest_of(before: str, number: int, at_ms: int, kind: str, who: str, what: str, detail: str) -> str:
    """The digest of an entry that follows the one with the digest `before`."""
    content = json.dumps([before, number, at_ms, kind, who, what, detail], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def adopt(db: Connection) -> None:
    """Chain what a ledger from before the audit log knows, as it stands now, by time; within the step that brings the
    log, and never again: an empty log beside answers is one that somebody has emptied."""
    for at_ms, kind, who, what, detail in sorted(_known(db), key=lambda entry: entry[0]):
        append(db, at_ms, kind, who, what, detail | {"adopted": True})


def answer_detail(row: Row) -> dict[str, Any]:
    """What the entry of an answer says, from its row of `feedback`."""
    return {"verdict": row["verdict"], "effect": row["effect"], "answer": row["id"], "region": row["region"]}


def answers_and_revocations(db: Connection) -> Iterator[Change]:
    """What the entries of all answers and revocations say, as the ledger holds them."""
    for row in db.execute("SELECT * FROM feedback ORDER BY id"):
        yield row["received_ms"], "answer", row["operator"], row["frame_id"], answer_detail(row)
    taken_back = (
        "SELECT revoked.*, frame_id FROM revoked JOIN feedback ON feedback.id = feedback_id ORDER BY feedback_id"
    )
    for row in db.execute(taken_back):
        detail = {"answer": row["feedback_id"], "reason": row["reason"]}
        yield row["at_ms"], "revocation", row["who"], row["frame_id"], detail


def _known(db: Connection) -> Iterator[Change]:
    for row in db.execute("SELECT * FROM versions ORDER BY number"):
        detail = {"cause": row["cause"], "sha256": row["sha256"]}
        yield from_iso(row["created_at"]), "version", row["who"], str(row["number"]), detail
    yield from answers_and_revocations(db)
    for row in db.execute("SELECT * FROM quarantine ORDER BY at_ms"):
        yield row["at_ms"], "set aside", "gate", row["frame_id"], {"reason": row["reason"]}
