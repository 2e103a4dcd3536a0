"""Why a part passed: which bank judged it, by which good patch, and who taught it that."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby
from typing import Any

from daemon.clock import iso
from daemon.inference import scene_records
from daemon.ledger.ledger import Ledger, Row
from memory.errors import DriftlineError, StoreError
from memory.store import Store
from memory.version import Version
from policies.threshold import Threshold


def threshold_behind(store: Store, row: Row) -> Threshold | None:
    """The threshold that a scored frame was judged by, with the scores that it was calibrated on; None where its
    version cannot be read any more, or nothing was scored."""
    if row["version"] is None or row["threshold"] is None:
        return None
    try:
        pooled = Threshold.of(store.version(row["version"]).threshold)
    except StoreError:
        return None
    return replace(pooled.for_regime(scene_records.regime(row)), value=row["threshold"])


def frames_of(ledger: Ledger, name: str) -> list[Row]:
    """The frame of this id, or all frames of the part of this id, oldest first. Raises DriftlineError for neither."""
    found = ledger.all("SELECT * FROM frames WHERE frame_id = ? OR part_id = ? ORDER BY seq", name, name)
    if not found:
        raise DriftlineError(
            expected="the id of a judged frame or part",
            came=name,
            do="check the id; retention.ledger_days says how long unanswered frames are known",
        )
    return found


def why(store: Store, ledger: Ledger, row: Row) -> dict[str, Any]:
    """All that is known of one verdict: scores, the version behind it, the good patch that decided, its teachers,
    and what became of the frame itself.
    """
    history = store.history()
    judged_by = next((v for v in history if v.number == row["version"]), None)
    nearest = json.loads(row["nearest"]) if row["nearest"] else None
    if nearest is not None:
        nearest["admitted"] = _admission(ledger, history, nearest["sample"], row["version"])
    first_seen_ms = scene_records.first_seen_ms(ledger, scene_records.regime(row))
    aside = ledger.one("SELECT at_ms, reason FROM quarantine WHERE frame_id = ?", row["frame_id"])
    return {
        **{key: row[key] for key in ("frame_id", "part_id", "verdict", "reason", "score", "threshold", "p_value")},
        "backend": row["backend"] or "torch",
        "judged_at": iso(row["judged_ms"]),
        "regime": iso(first_seen_ms) if first_seen_ms else "taught",
        "version": _heading(judged_by) if judged_by else row["version"],
        "nearest_good_patch": nearest,
        "answers": _answers(ledger, row["frame_id"]),
        "learned_by": _learned_by(store, ledger, history, row["frame_id"]),
        "set_aside": {"at": iso(aside["at_ms"]), "reason": aside["reason"]} if aside else None,
    }


def _learned_by(store: Store, ledger: Ledger, history: list[Version], sample: str) -> list[int]:
    """The versions that admitted a sample as good, or began to hold it as a defect. Where retention has removed what
    would tell, the first that knew of the answer is the one."""
    answer = ledger.one("SELECT min(id) AS id FROM feedback WHERE frame_id = ? AND verdict = 'defect'", sample)
    found = {version.number for version in history if sample in version.added}
    held = False
    untold: list[Version] = []
    for _, versions in groupby(history, key=lambda version: version.blobs["replay"]):
        first, *others = versions
        defects = store.defects(first)
        if defects is None:
            untold += [first, *others]
            continue
        if sample in defects and not held:
            knew = (v for v in untold if answer and answer["id"] and v.feedback_through >= answer["id"])
            found.add(next(knew, first).number)
        held, untold = sample in defects, []
    return sorted(found)


def _admission(ledger: Ledger, history: list[Version], sample: str, judged_by: int) -> dict[str, Any] | None:
    """How a sample came into the bank that judged: a rollback brings back, it does not admit."""
    admitted = [v for v in history if v.number <= judged_by and sample in v.added and v.cause != "rollback"]
    return _heading(admitted[-1]) | {"answers": _answers(ledger, sample)} if admitted else None


def _heading(version: Version) -> dict[str, Any]:
    return {"number": version.number, "cause": version.cause, "who": version.who, "created_at": version.created_at}


def _answers(ledger: Ledger, frame_id: str) -> list[dict[str, Any]]:
    rows = ledger.all(
        "SELECT operator, verdict, received_ms, effect, who FROM feedback"
        " LEFT JOIN revoked ON feedback_id = id WHERE frame_id = ? ORDER BY id",
        frame_id,
    )
    return [
        {
            "operator": r["operator"],
            "verdict": r["verdict"],
            "at": iso(r["received_ms"]),
            "effect": r["effect"],
            "revoked_by": r["who"],
        }
        for r in rows
    ]
