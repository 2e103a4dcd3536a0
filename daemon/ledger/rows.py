"""Conversion between the ledger's rows and its records: the only place that reads and writes JSON columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from daemon.ledger.database import Connection, Row
from daemon.ledger.records import (
    Effect,
    JudgedFrame,
    NewAnswer,
    NewVerdict,
    PlantVerdict,
    RecordedAnswer,
    RecordedEvent,
    SceneRecord,
)
from policies.verdict import Label, Verdict

# Fields of a record that are columns of the same name and type.
SCENE = tuple(field.name for field in fields(SceneRecord))
PLANT = tuple(field.name for field in fields(PlantVerdict))
PLAIN = tuple(
    field.name
    for field in fields(JudgedFrame)
    if field.name not in {"verdict", "trial", "evidence", "drift", "timings", "scene"}
)
INSERT_ANSWER = (
    "INSERT INTO feedback (key, frame_id, verdict, operator, region, received_ms, effect, looked_ms)"
    " VALUES (:key, :frame_id, :verdict, :operator, :region, :received_ms, :effect, :looked_ms)"
)
FLAGS = ("asked", "audited", "imported", "published")
WRITTEN = (
    *(name for name in PLAIN if name not in {"seq", "wire_id"}),
    *("verdict", "trial", "nearest", "drift", "timings"),
    *SCENE,
)
INSERT_FRAME = (
    f"INSERT INTO frames ({', '.join(WRITTEN)}, wire_id)"  # noqa: S608  # our own names
    f" VALUES ({', '.join(f':{name}' for name in WRITTEN)}, '')"
)


def judged_frame(row: Row) -> JudgedFrame:
    """The record of a row of `frames`."""
    return JudgedFrame(
        **{name: row[name] for name in PLAIN} | {name: bool(row[name]) for name in FLAGS},
        verdict=Verdict(row["verdict"]),
        trial=Verdict(row["trial"]) if row["trial"] else None,
        evidence=json.loads(row["nearest"]) if row["nearest"] else None,
        drift=json.loads(row["drift"]),
        timings=json.loads(row["timings"]),
        scene=SceneRecord(**{name: row[name] for name in SCENE}),
    )


def frame_columns(verdict: NewVerdict) -> dict[str, Any]:
    """A verdict as the columns of `frames`; what was imported is never published."""
    return {
        **vars(verdict),
        **vars(verdict.scene),
        "nearest": json.dumps(verdict.evidence) if verdict.evidence is not None else None,
        "drift": json.dumps(verdict.drift),
        "timings": json.dumps(verdict.timings),
        "published": verdict.imported,
    }


def plant_verdict(row: Row) -> PlantVerdict:
    """The verdict for a plant, of a row of `frames`."""
    return PlantVerdict(**{name: row[name] for name in PLANT} | {"verdict": Verdict(row["verdict"])})


def recorded_answer(row: Row) -> RecordedAnswer:
    """The record of a row of the view `answers`."""
    return RecordedAnswer(
        id=row["id"],
        key=row["key"],
        frame_id=row["frame_id"],
        label=Label(row["verdict"]),
        operator=row["operator"],
        box=tuple(json.loads(row["region"])) if row["region"] else None,
        received_ms=row["received_ms"],
        effect=Effect(row["effect"]),
        looked_ms=row["looked_ms"],
        revoked_by=row["revoked_by"],
    )


def answer_columns(answer: NewAnswer) -> dict[str, Any]:
    """An answer as the columns of `feedback`."""
    return {
        "key": answer.key,
        "frame_id": answer.frame_id,
        "verdict": answer.label,
        "operator": answer.operator,
        "region": json.dumps(answer.box) if answer.box else None,
        "received_ms": answer.received_ms,
        "effect": answer.effect,
        "looked_ms": answer.looked_ms,
    }


def recorded_event(row: Row) -> RecordedEvent:
    """The record of a row of `events`."""
    return RecordedEvent(row["id"], row["at_ms"], row["kind"], json.loads(row["detail"]))


def event_detail(detail: Mapping[str, Any]) -> str:
    """An event's detail as the column and the events stream hold it."""
    return json.dumps(detail, ensure_ascii=False, default=str)


def unused_key(db: Connection, key: str) -> str | None:
    """The key by which an answer with this idempotency key is recorded; None where that was done. What was said, taken
    back and is said again is recorded anew."""
    while earlier := db.execute("SELECT id, revoked_by FROM answers WHERE key = ?", (key,)).fetchone():
        if earlier["revoked_by"] is None:
            return None
        key = f"{key}|after {earlier['id']}"
    return key
