"""Between the ledger's rows and its records: the only place that reads and writes JSON columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from daemon.ledger.ledger import Row
from daemon.ledger.records import (
    Effect,
    JudgedFrame,
    NewVerdict,
    PlantVerdict,
    RecordedAnswer,
    RecordedEvent,
    SceneRecord,
)
from policies.verdict import Label, Verdict

SCENE = tuple(field.name for field in fields(SceneRecord))
PLANT = tuple(field.name for field in fields(PlantVerdict))
PLAIN = tuple(
    field.name
    for field in fields(JudgedFrame)
    if field.name not in {"verdict", "trial", "evidence", "drift", "timings", "scene"}
)
FLAGS = ("asked", "audited", "imported", "published")


def judged_frame(row: Row) -> JudgedFrame:
    """A row of `frames`."""
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
    columns = {field.name: getattr(verdict, field.name) for field in fields(NewVerdict)}
    evidence = columns.pop("evidence")
    return columns | {
        **asdict(columns.pop("scene")),
        "nearest": json.dumps(evidence) if evidence is not None else None,
        "drift": json.dumps(verdict.drift),
        "timings": json.dumps(verdict.timings),
        "published": verdict.imported,
    }


def plant_verdict(row: Row) -> PlantVerdict:
    """A row of `frames`, of which a plant needs few columns."""
    return PlantVerdict(**{name: row[name] for name in PLANT} | {"verdict": Verdict(row["verdict"])})


def recorded_answer(row: Row) -> RecordedAnswer:
    """A row of the view `answers`."""
    return RecordedAnswer(
        id=row["id"],
        key=row["key"],
        frame_id=row["frame_id"],
        label=Label(row["verdict"]),
        operator=row["operator"],
        box=tuple(json.loads(row["region"])) if row["region"] else None,
        received_ms=row["received_ms"],
        effect=Effect(row["effect"]),
        revoked_by=row["revoked_by"],
    )


def recorded_event(row: Row) -> RecordedEvent:
    """A row of `events`."""
    return RecordedEvent(row["id"], row["at_ms"], row["kind"], json.loads(row["detail"]))


def event_detail(detail: Mapping[str, Any]) -> str:
    """An event's detail as the column and the events stream hold it."""
    return json.dumps(detail, ensure_ascii=False, default=str)
