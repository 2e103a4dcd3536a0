"""The report, one self-contained HTML page: verdicts, drift of the scene, and what was learned and refused."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

from daemon.clock import minute, to_the_minute
from daemon.inference.engine import Engine
from daemon.ledger.answers import every_answer
from daemon.ledger.frames import newest_frames
from daemon.ledger.history import newest_events
from daemon.ledger.ledger import Ledger
from daemon.ledger.lesson_outcomes import outcome
from daemon.ledger.operators import answers_of_each, track_record
from daemon.ledger.records import JudgedFrame, RecordedEvent
from daemon.reporting.page import template
from daemon.reporting.plot import Axes, Frame
from daemon.reporting.tile import tile
from drift.monitor import DriftState, Trust
from drift.signals import CAMERA, LIGHT, MATERIAL
from memory.store import Store
from memory.version import Version
from policies.reliability import distrust
from policies.verdict import Label, Verdict

NEWEST_FRAMES = 3_000
SHEET_TILES = 24
NEWEST_DRIFTS = 100
NEWEST_REGIMES = 20
NEWEST_HOLDS = 50
GROUPS = {"light left over": LIGHT, "camera": CAMERA, "material": MATERIAL}
TALLEST = 3.0  # in thresholds; higher scores are drawn at the edge
PLOT = Frame(width=1100, height=240, left=52, top=18)


def render(engine: Engine, store: Store, title: str) -> str:
    """The report of the newest `NEWEST_FRAMES` frames and of all versions, as one HTML text."""
    ledger = engine.ledger
    frames = newest_frames(ledger, NEWEST_FRAMES)[::-1]
    labels = {answer.frame_id: answer.label for answer in reversed(every_answer(ledger)) if answer.counts}
    page = template("daemon.reporting", "report.html.j2")
    return page.render(
        title=title,
        line=engine.settings.line,
        backbone=engine.settings.extractor.model,
        made=max((frame.judged_ms for frame in frames), default=0),
        untrained=engine.extractor.untrained,
        counts=ledger.counts(),
        tally=_tally(frames, labels),
        scores=_scores(frames, labels),
        drift=_drift(frames),
        cards=_cards(ledger, engine.drift()),
        regimes=[_regime(event) for event in newest_events(ledger, ("regime",), NEWEST_REGIMES)],
        versions=[_version(v, ledger) for v in reversed(store.history())],
        operators=_operators(ledger),
        holds=[event.detail for event in newest_events(ledger, ("hold",), NEWEST_HOLDS)],
        sheet=_sheet(engine, store, frames, labels),
        size=PLOT,
    )


def _operators(ledger: Ledger) -> list[dict[str, Any]]:
    table = []
    for operator, count in answers_of_each(ledger).items():
        record = track_record(ledger, operator)
        known = f"{record.agreed} of {record.checks}" if record.checks else "none shown"
        table.append({"name": operator, "answers": count, "known": known, "distrust": distrust(record)})
    return table


def _tally(frames: list[JudgedFrame], labels: dict[str, Label]) -> dict[str, int]:
    flagged = [frame for frame in frames if frame.verdict is Verdict.NG]
    confirmed = [labels[frame.frame_id] for frame in flagged if frame.frame_id in labels]
    return {
        "frames": len(frames),
        "flagged": len(flagged),
        "unknown": sum(frame.verdict is Verdict.UNKNOWN for frame in frames),
        "asked": sum(frame.asked for frame in frames),
        "confirmed": confirmed.count(Label.DEFECT),
        "false_rejects": confirmed.count(Label.GOOD),
    }


def _scores(frames: list[JudgedFrame], labels: dict[str, Label]) -> dict[str, Any]:
    limit = max((frame.threshold for frame in frames if frame.threshold is not None), default=1.0)
    axes = Axes(PLOT, len(frames), 0, TALLEST * limit)
    dots = [
        {
            "x": axes.x(i),
            "y": axes.y(frame.score),
            "kind": _kind(frame, labels),
            "text": f"{frame.frame_id}: {frame.verdict}, {frame.score:.3f}, version {frame.version}",
        }
        for i, frame in enumerate(frames)
        if frame.score is not None
    ]
    steps = [
        {"x": axes.x(i), "number": frame.version}
        for i, frame in enumerate(frames)
        if frame.version is not None and (i == 0 or frame.version != frames[i - 1].version)
    ]
    return {"axes": axes, "dots": dots, "threshold": axes.line([frame.threshold for frame in frames]), "steps": steps}


def _kind(frame: JudgedFrame, labels: dict[str, Label]) -> str:
    if frame.frame_id in labels:
        return labels[frame.frame_id].value
    return "flagged" if frame.verdict is Verdict.NG else "passed"


def _drift(frames: list[JudgedFrame]) -> dict[str, Any]:
    states = [frame.drift or None for frame in frames]
    series = {
        group: [_farthest(s["deviation"], names) if s else None for s in states] for group, names in GROUPS.items()
    }
    reach = max((abs(v) for values in series.values() for v in values if v is not None), default=1.0)
    axes = Axes(PLOT, len(frames), -max(reach, 2.0), max(reach, 2.0))
    percent = [None if s is None else (math.exp(s["log_ratio"]) - 1) * 100 for s in states]
    known = [v for v in percent if v is not None]
    light = Axes(PLOT, len(frames), min([-20.0, *known]) * 1.1, max([20.0, *known]) * 1.1)
    return {
        "axes": axes,
        "series": {name: axes.line(values) for name, values in series.items()},
        "light_axes": light,
        "light": light.line(percent),
        "bands": {t.value: [axes.x(i) for i, s in enumerate(states) if s and s["trust"] == t] for t in Trust},
    }


def _farthest(deviation: dict[str, float], names: Sequence[str]) -> float:
    """The deviation that is farthest from the reference, of those that the frame's version knew."""
    return max((deviation[name] for name in names if name in deviation), key=abs, default=0.0)


def _cards(ledger: Ledger, now: DriftState) -> list[dict[str, Any]]:
    """Changes of the scene, newest first, each with its end and its amount by then."""
    cards: list[dict[str, Any]] = []
    end: dict[str, dict[str, Any]] = {c.cause: {"amount": c.amount, "until": None} for c in now.changes}
    for event in newest_events(ledger, ("drift", "drift_over"), NEWEST_DRIFTS):
        cause = event.detail["cause"]
        if event.kind == "drift_over":
            end[cause] = {"amount": event.detail["amount"], "until": minute(event.at_ms)}
        else:
            since = minute(event.detail["since_ms"])
            cards.append({**event.detail, "since": since, "until": None} | end.pop(cause, {}))
    return cards


def _regime(event: RecordedEvent) -> dict[str, str]:
    """A return to a known regime: when, and when that was first seen, empty for the taught one."""
    since_ms = event.detail["since_ms"]
    return {"at": minute(event.at_ms), "first": minute(since_ms) if since_ms else ""}


def _version(version: Version, ledger: Ledger) -> dict[str, Any]:
    return {
        "number": version.number,
        "cause": version.cause + (f" to {version.restores}" if version.restores else ""),
        "who": version.who,
        "created_at": to_the_minute(version.created_at),
        "bank_size": version.bank_size,
        "threshold": version.threshold["value"],
        "set_by": version.threshold.get("set_by", ""),
        "guaranteed": version.threshold["guaranteed_rate"],
        "added": len(version.added),
        "removed": len(version.removed),
        "refused": list(version.refused),
        "waiting": len(version.waiting),
        "outcome": outcome(ledger, version),
        "gate": version.gate,
    }


def _sheet(engine: Engine, store: Store, frames: list[JudgedFrame], labels: dict[str, Label]) -> list[dict[str, Any]]:
    """The contact sheet: flagged frames, evenly over time, with their maps."""
    flagged = [frame for frame in frames if frame.verdict is Verdict.NG and frame.kept]
    every = max(math.ceil(len(flagged) / SHEET_TILES), 1)
    tiles = []
    for frame in flagged[::every]:
        picture = tile(engine.kept, store, engine.settings.source, frame)
        if picture is not None and frame.score is not None and frame.threshold is not None:
            tiles.append(
                {
                    "picture": base64.b64encode(picture).decode(),
                    "name": frame.frame_id,
                    "score": frame.score / frame.threshold,
                    "version": frame.version,
                    "kind": _kind(frame, labels),
                }
            )
    return tiles
