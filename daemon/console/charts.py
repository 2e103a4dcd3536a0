"""Plots of the scene over time: every signal of light, camera and material, with versions marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.clock import from_iso
from daemon.ledger.ledger import Ledger
from daemon.ledger.scene_history import SceneHistory, scene_since, versions_made
from daemon.reporting.plot import Axes, Frame
from drift.signals import CAMERA, LIGHT, MATERIAL
from policies.notices import FAR_SPREADS

HOURS = (1, 8, 24, 168)
HOUR_MS = 3_600_000
POINTS = 240
PLOT = Frame(width=460, height=150, left=44, top=20)
LEAST_SPREADS = 4.0
LEAST_PERCENT = 10.0
TITLES = {
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
    """The charts of the last hours by group, the versions made meanwhile as (x, number), and the times of both ends
    (Unix, ms); no groups where nothing was scored."""
    scene = scene_since(ledger, now_ms - hours * HOUR_MS, POINTS)
    if scene is None:
        return {"groups": {}}
    span = TimeSpan(scene.first_ms, max(scene.last_ms, scene.first_ms + 1))
    light = [(at_ms, (math.exp(s["log_ratio"]) - 1) * 100 if s else None) for at_ms, s in scene.states]
    groups = {
        group: [span.chart(_title(name), _deviations(scene, name), LEAST_SPREADS) for name in names]
        for group, names in GROUPS.items()
    }
    groups["Light"].insert(0, span.chart("Light against the taught parts", light, LEAST_PERCENT))
    times = [(from_iso(made), number) for number, made in versions_made(ledger)]
    versions = [
        (span.axes(1.0).x(at_ms - span.first_ms), number)
        for at_ms, number in times
        if span.first_ms <= at_ms <= span.last_ms
    ]
    return {"groups": groups, "versions": versions, "ends": [span.first_ms, span.last_ms], "plot": PLOT}


@dataclass(frozen=True)
class TimeSpan:
    """The time span of the charts (Unix, ms)."""

    first_ms: int
    last_ms: int

    def axes(self, reach: float) -> Axes:
        """The axes: time horizontally, -reach to reach vertically."""
        return Axes(PLOT, self.last_ms - self.first_ms + 1, -reach, reach)

    def chart(self, title: str, points: Sequence[tuple[int, float | None]], least: float) -> Chart:
        """A chart of points (Unix ms, value), at least as high as `least`; what is normal in spreads is banded."""
        known = [value for _, value in points if value is not None]
        axes = self.axes(max([least, *(1.1 * abs(value) for value in known)]))
        in_spreads = least == LEAST_SPREADS
        far = (axes.y(FAR_SPREADS), axes.y(-FAR_SPREADS)) if in_spreads else None
        newest = f"{known[-1]:+z.1f}" if known else None
        now = "not known" if newest is None else f"{newest} spreads" if in_spreads else f"{newest} %"
        return Chart(title, now, axes, axes.through([(at_ms - self.first_ms, value) for at_ms, value in points]), far)


def _title(signal: str) -> str:
    return TITLES.get(signal, signal.replace("_", " ").capitalize())


def _deviations(scene: SceneHistory, signal: str) -> list[tuple[int, float | None]]:
    return [(at_ms, state["deviation"].get(signal) if state else None) for at_ms, state in scene.states]
