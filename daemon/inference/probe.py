"""The first image of a version that becomes active: does it score at all?"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import structlog

from daemon.ledger.kept import Pictures
from daemon.ledger.ledger import Ledger
from memory.features import Image
from memory.version import Model

log = structlog.get_logger()


def probe(
    model: Model, pictures: Pictures, score_image: Callable[[Image], object], ledger: Ledger, now_ms: int
) -> float | None:
    """How long (ms) `score_image`, which judges by `model` now, takes for one of its calibration parts, or for a black
    image where none was kept; None, and an event, where it cannot: each frame is answered UNKNOWN then.

    Libraries that set up at their first image have done so when the first part comes.
    """
    image = pictures.sample(model.snapshot.calibration_set.samples[0])
    if image is None:
        image = np.zeros((pictures.input_px, pictures.input_px, 3), dtype=np.uint8)
    started = time.perf_counter()
    try:
        score_image(image)
    except Exception as error:  # whatever a device raises: it is told, and shown as not ready
        log.exception("the probe image could not be scored", version=model.version.number)
        ledger.event(now_ms, "probe_failed", version=model.version.number, error=repr(error))
        return None
    return round((time.perf_counter() - started) * 1000, 3)
