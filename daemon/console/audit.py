"""The audit log: every change of what the line knows, who made it and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from daemon.clock import iso
from daemon.ledger.answers import every_answer, revocations
from daemon.ledger.history import set_aside
from daemon.ledger.state import State


def audit(state: State) -> Iterator[dict[str, Any]]:
    """The entries of a line's audit log, oldest first within each kind."""
    for version in state.store.history():
        detail = {"cause": version.cause, "added": len(version.added), "removed": len(version.removed)}
        yield _entry(version.created_at, "version", version.who, str(version.number), detail)
    for answer in every_answer(state.ledger):
        detail = {"verdict": answer.label, "effect": answer.effect, "answer": answer.id}
        yield _entry(iso(answer.received_ms), "answer", answer.operator, answer.frame_id, detail)
    for taken_back in revocations(state.ledger):
        detail = {"reason": taken_back.reason}
        yield _entry(iso(taken_back.at_ms), "revocation", taken_back.who, str(taken_back.answer_id), detail)
    for frame in set_aside(state.ledger):
        yield _entry(iso(frame.at_ms), "set aside", "gate", frame.frame_id, {"reason": frame.reason})


def _entry(time: str, kind: str, who: str, what: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"at": time, "kind": kind, "who": who, "what": what, "detail": json.dumps(detail, ensure_ascii=False)}
