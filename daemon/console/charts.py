"""The scene over time, as plots: light, camera and material, each signal by itself, with versions marked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daemon.ledger.ledger import Ledger
from daemon.reporting.plot import Axes, Frame
from drift.signals import CAMERA, LIGHT, MATERIAL
from policies.notices import FAR_SPREADS

HOURS = (1, 8, 24, 168)
HOUR_MS = 3_600_000
POINTS = 240
PLOT = Frame(width=460, height=150, left=44, top=20)
LEAST_SPREADS = 4.0
LEAST_PERCENT = 10.0
SAID = {
    "exposure": "Light left over",
    "red": "Red left over",
    "blue": "Blue left over",
    "shift_x": "Shift across",
    "shift_y": "Shift down",
    "material_off": "Beyond known material",
}
GROUPS = {"Light": LIGHT, "Camera": CAMERA, "Material": MATERIAL}


@dataclass(frozen=True)
class Chart:
    """One plot: `now` is its newest value in words, `band` what is normal, from and to."""

    title: str
    now: str
    axes: Axes
    lines: list[str]
    band: tuple[float, float] | None


def charts(ledger: Ledger, hours: int, now_ms: int) -> dict[str, Any]:
    """The charts of the last hours by group, the versions made meanwhile as (x, number), and the labels of both ends;
    no groups where nothing was scored."""
    first = ledger.one(
        "SELECT seq, judged_ms FROM line_frames WHERE judged_ms > ? ORDER BY judged_ms", now_ms - hours * HOUR_MS
    )
    last = ledger.one("SELECT seq, judged_ms FROM line_frames ORDER BY seq DESC LIMIT 1")
    if first is None or last is None:
        return {"groups": {}}
    every = max((last["seq"] - first["seq"]) // POINTS, 1)
    wanted = range(last["seq"], first["seq"] - 1, -every)
    marks = ", ".join("?" * len(wanted))
    rows = ledger.all(
        f"SELECT judged_ms, drift FROM line_frames WHERE seq IN ({marks}) ORDER BY seq",  # noqa: S608  # marks
        *wanted,
    )
    said = [(row["judged_ms"], json.loads(row["drift"]) or None) for row in rows]
    span = Span(first["judged_ms"], max(last["judged_ms"], first["judged_ms"] + 1))
    light = [(at, (math.exp(s["log_ratio"]) - 1) * 100 if s else None) for at, s in said]
    groups = {
        group: [
            span.chart(SAID.get(name, name.replace("_", " ").capitalize()), _of(said, name), " spreads", LEAST_SPREADS)
            for name in names
        ]
        for group, names in GROUPS.items()
    }
    groups["Light"].insert(0, span.chart("Light against the taught parts", light, " %", LEAST_PERCENT))
    made = ledger.all("SELECT number, created_at FROM versions ORDER BY number")
    times = [(datetime.fromisoformat(v["created_at"]).timestamp() * 1000, v["number"]) for v in made]
    versions = [(span.axes(1.0).x(at - span.first), number) for at, number in times if span.first <= at <= span.last]
    return {"groups": groups, "versions": versions, "ends": [_clock(span.first), _clock(span.last)], "plot": PLOT}


@dataclass(frozen=True)
class Span:
    """From when to when the charts reach (Unix, ms)."""

    first: int
    last: int

    def axes(self, reach: float) -> Axes:
        """Time across, -reach to reach upwards."""
        return Axes(PLOT, self.last - self.first + 1, -reach, reach)

    def chart(self, title: str, points: Sequence[tuple[int, float | None]], unit: str, least: float) -> Chart:
        """A chart of points (Unix ms, value), at least as high as `least`; what is normal in spreads is banded."""
        known = [value for _, value in points if value is not None]
        axes = self.axes(max([least, *(1.1 * abs(value) for value in known)]))
        far = (axes.y(FAR_SPREADS), axes.y(-FAR_SPREADS)) if least == LEAST_SPREADS else None
        now = f"{known[-1]:+.1f}{unit}" if known else "not known"
        return Chart(title, now, axes, axes.through([(at - self.first, value) for at, value in points]), far)


def _of(said: Sequence[tuple[int, dict[str, Any] | None]], name: str) -> list[tuple[int, float | None]]:
    return [(at, s["deviation"].get(name) if s else None) for at, s in said]


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a %H:%M")
