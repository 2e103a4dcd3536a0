"""One self-contained HTML page: what was judged, how the scene drifted, what was learned and what refused."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import cv2
import jinja2

from daemon.clock import minute, to_the_minute
from daemon.inference.engine import Engine
from daemon.inference.scene_records import gain
from daemon.intake.decode import decode
from daemon.ledger.ledger import Ledger, Row
from daemon.ledger.provenance import threshold_behind
from daemon.reporting.heatmap import overlay
from daemon.reporting.plot import Axes, Frame
from drift.light import compensate
from drift.monitor import DriftState, Trust
from drift.signals import CAMERA, LIGHT, MATERIAL
from memory.store import Store
from policies.threshold import Threshold

NEWEST_FRAMES = 3_000
SHEET_TILES = 24
TILE_PX = 160
DRIFTS = "SELECT kind, at_ms, detail FROM events WHERE kind IN ('drift', 'drift_over') ORDER BY id DESC LIMIT 100"
REGIMES = "SELECT at_ms, detail FROM events WHERE kind = 'regime' ORDER BY id DESC LIMIT 20"
GROUPS = {"light left over": LIGHT, "camera": CAMERA, "material": MATERIAL}
HOLDS = "SELECT detail FROM events WHERE kind = 'hold' ORDER BY id DESC LIMIT 50"
TALLEST = 3.0  # in thresholds; higher scores are drawn at the edge
PLOT = Frame(width=1100, height=240, left=52, top=18)


def render(engine: Engine, store: Store, title: str) -> str:
    """The report of the newest `NEWEST_FRAMES` frames and of all versions, as one HTML text."""
    ledger = engine.ledger
    frames = ledger.all("SELECT * FROM line_frames ORDER BY seq DESC LIMIT ?", NEWEST_FRAMES)[::-1]
    answers = {r["frame_id"]: r for r in ledger.all("SELECT * FROM feedback ORDER BY id DESC")}
    page = jinja2.Environment(
        loader=jinja2.PackageLoader("daemon.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    ).get_template("report.html.j2")
    return page.render(
        title=title,
        line=engine.settings.line,
        backbone=engine.settings.extractor.model,
        made=max((row["judged_ms"] for row in frames), default=0),
        untrained=engine.extractor.untrained,
        counts=ledger.counts(),
        tally=_tally(frames, answers),
        scores=_scores(frames, answers),
        drift=_drift(frames),
        cards=_cards(ledger, engine.drift()),
        regimes=[_regime(row) for row in ledger.all(REGIMES)],
        versions=[_version(v) for v in reversed(store.history())],
        holds=[json.loads(r["detail"]) for r in ledger.all(HOLDS)],
        sheet=_sheet(engine, store, frames, answers),
        size=PLOT,
    )


def _tally(frames: list[Row], answers: dict[str, Row]) -> dict[str, int]:
    flagged = [r for r in frames if r["verdict"] == "NG"]
    told = [answers[r["frame_id"]]["verdict"] for r in flagged if r["frame_id"] in answers]
    return {
        "frames": len(frames),
        "flagged": len(flagged),
        "unknown": sum(r["verdict"] == "UNKNOWN" for r in frames),
        "asked": sum(r["asked"] for r in frames),
        "confirmed": told.count("defect"),
        "false_rejects": told.count("good"),
    }


def _scores(frames: list[Row], answers: dict[str, Row]) -> dict[str, Any]:
    limit = max((r["threshold"] for r in frames if r["threshold"] is not None), default=1.0)
    axes = Axes(PLOT, len(frames), 0, TALLEST * limit)
    dots = [
        {
            "x": axes.x(i),
            "y": axes.y(r["score"]),
            "kind": _kind(r, answers),
            "text": f"{r['frame_id']}: {r['verdict']}, {r['score']:.3f}, version {r['version']}",
        }
        for i, r in enumerate(frames)
        if r["score"] is not None
    ]
    steps = [
        {"x": axes.x(i), "number": r["version"]}
        for i, r in enumerate(frames)
        if r["version"] is not None and (i == 0 or r["version"] != frames[i - 1]["version"])
    ]
    return {"axes": axes, "dots": dots, "threshold": axes.line([r["threshold"] for r in frames]), "steps": steps}


def _kind(row: Row, answers: dict[str, Row]) -> str:
    if row["frame_id"] in answers:
        return str(answers[row["frame_id"]]["verdict"])
    return "flagged" if row["verdict"] == "NG" else "passed"


def _drift(frames: list[Row]) -> dict[str, Any]:
    states = [json.loads(r["drift"]) or None for r in frames]
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
    """What has changed, newest first, until when, and how far it had gone by then."""
    shown: list[dict[str, Any]] = []
    end: dict[str, dict[str, Any]] = {c.cause: {"amount": c.amount, "until": None} for c in now.changes}
    for row in ledger.all(DRIFTS):
        told = json.loads(row["detail"])
        if row["kind"] == "drift_over":
            end[told["cause"]] = {"amount": told["amount"], "until": minute(row["at_ms"])}
        else:
            shown.append(told | {"since": minute(told["since_ms"]), "until": None} | end.pop(told["cause"], {}))
    return shown


def _regime(row: Row) -> dict[str, str]:
    """When which conditions were back; none first seen are the taught ones."""
    since_ms = json.loads(row["detail"])["since_ms"]
    return {"at": minute(row["at_ms"]), "first": minute(since_ms) if since_ms else ""}


def _version(version: Any) -> dict[str, Any]:
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
        "gate": version.gate,
    }


def _sheet(engine: Engine, store: Store, frames: list[Row], answers: dict[str, Row]) -> list[dict[str, Any]]:
    """Flagged frames, evenly over time, with their maps."""
    flagged = [r for r in frames if r["verdict"] == "NG" and r["kept"]]
    every = max(math.ceil(len(flagged) / SHEET_TILES), 1)
    tiles = []
    for row in flagged[::every]:
        picture = tile(engine, row, threshold_behind(store, row))
        if picture is not None:
            tiles.append(
                {
                    "picture": base64.b64encode(picture).decode(),
                    "name": row["frame_id"],
                    "score": row["score"] / row["threshold"],
                    "version": row["version"],
                    "kind": _kind(row, answers),
                }
            )
    return tiles


def tile(engine: Engine, row: Row, threshold: Threshold | None) -> bytes | None:
    """A small JPEG of a kept frame under its anomaly map, or None once it is gone."""
    data, anomaly = engine.kept.image(row["kept"]), engine.kept.anomaly(row["kept"])
    if data is None or anomaly is None or threshold is None:
        return None
    raw = decode(data, engine.extractor.input_px, engine.settings.source.max_pixels)
    picture = overlay(compensate(raw, gain(row)), anomaly, threshold)
    small = cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
