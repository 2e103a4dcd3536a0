"""The first image of a version that becomes active: does it score at all?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import structlog

if TYPE_CHECKING:
    from daemon.inference.engine import Active, Engine

log = structlog.get_logger()


def probe(engine: Engine, active: Active) -> float | None:
    """How long (ms) what judges now takes to score one of its calibration parts, or a black image where none was
    kept; None, and an event, where it cannot: each frame is answered UNKNOWN then.

    Libraries that set up at their first image have done so when the first part comes.
    """
    version, side = active.model.version, engine.extractor.input_px
    image = engine.pictures.sample(active.model.snapshot.calibration_set.samples[0])
    started = time.perf_counter()
    try:
        engine.score_image(np.zeros((side, side, 3), dtype=np.uint8) if image is None else image, active)
    except Exception as error:  # whatever a device raises: it is told, and shown as not ready
        log.exception("the probe image could not be scored", version=version.number)
        engine.ledger.event(engine.clock_ms(), "probe_failed", version=version.number, error=repr(error))
        return None
    return round((time.perf_counter() - started) * 1000, 3)
