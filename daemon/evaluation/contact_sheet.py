"""The contact sheet of a judged category: its most wrong and its most certain images with their anomaly maps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from daemon.evaluation.judged import Judged, JudgedImage
from daemon.intake.decode import ImageRejected, path_text, pictured
from daemon.reporting.heatmap import overlay
from daemon.reporting.page import template
from daemon.settings.models import SourceSettings

TILES = 8  # in a row
TILE_PX = 240


def render(title: str, judged: Judged, source: SourceSettings) -> str:
    """One self-contained HTML page, in four rows: defects that scored least, good parts that scored most, and the other
    way round."""
    good = sorted((one for one in judged.images if not one.image.defective), key=lambda one: one.score)
    bad = sorted((one for one in judged.images if one.image.defective), key=lambda one: one.score)
    rows = {
        "Defects with the smallest scores": bad[:TILES],
        "Good parts with the largest scores": good[-TILES:][::-1],
        "Defects with the largest scores": bad[-TILES:][::-1],
        "Good parts with the smallest scores": good[:TILES],
    }
    page = template("daemon.evaluation", "contact_sheet.html.j2")
    return page.render(title=title, rows={name: _tiles(row, judged, source) for name, row in rows.items()})


def _tiles(row: Sequence[JudgedImage], judged: Judged, source: SourceSettings) -> list[dict[str, Any]]:
    return [tile for one in row if (tile := _tile(one, judged, source))]


def _tile(one: JudgedImage, judged: Judged, source: SourceSettings) -> dict[str, Any] | None:
    try:
        image = pictured(one.image.path.read_bytes(), TILE_PX, source, None)
    except (OSError, ImageRejected):
        return None
    shown = image if one.anomaly is None else overlay(image, one.anomaly, judged.threshold, None)
    return {
        "name": path_text(Path(one.image.path.name)),
        "kind": one.image.kind,
        "score": one.score / judged.threshold.value if one.anomaly is not None else None,
        "picture": base64.b64encode(cv2.imencode(".jpg", shown[:, :, ::-1])[1].tobytes()).decode(),
    }
