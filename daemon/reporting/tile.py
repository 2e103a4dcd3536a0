"""A small picture of a kept frame with its anomaly map, for pages that stand alone."""

from __future__ import annotations

import cv2

from daemon.intake.decode import ImageRejected, pictured, shrunk
from daemon.ledger.kept import KeptFrames
from daemon.ledger.provenance import bits_behind, inside_behind, threshold_behind
from daemon.ledger.records import JudgedFrame
from daemon.reporting.heatmap import overlay
from daemon.settings.models import SourceSettings
from drift.light import compensate
from memory.store import Store

TILED_PX = 256  # before the map is laid over
TILE_PX = 160


def tile(kept: KeptFrames, store: Store, source: SourceSettings, frame: JudgedFrame) -> bytes | None:
    """A small JPEG of a kept frame with its anomaly map, or None once either is gone or cannot be read any more."""
    if frame.kept is None:
        return None
    data, anomaly = kept.image(frame.kept), kept.anomaly(frame.kept)
    threshold = threshold_behind(store, frame)
    if data is None or anomaly is None or threshold is None:
        return None
    try:
        raw = pictured(data, TILED_PX, source, bits_behind(store, frame))
    except ImageRejected:
        return None
    inside = inside_behind(store, frame, raw.shape[:2])
    picture = overlay(compensate(raw, frame.scene.gain), anomaly, threshold, inside)
    return cv2.imencode(".jpg", shrunk(picture, TILE_PX)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
