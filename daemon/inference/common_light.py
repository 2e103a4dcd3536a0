"""The light that images have in common: what a line would follow, for images that are looked at without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import numpy as np
import structlog

from daemon.inference.engine import Engine
from daemon.intake.decode import ImageRejected
from daemon.intake.onto_canvas import Decoded
from daemon.ledger.frames import newest_measured
from drift.light import LightEstimate, apart
from drift.signals import LIGHT

LEAST_IMAGES, MOST_IMAGES = 8, 64
USUAL_SPREADS = 3.0
T = TypeVar("T")
log = structlog.get_logger()


def judge_in_common_light(engine: Engine, images: Sequence[T], decode: Callable[[T], Decoded]) -> None:
    """Let the active version judge in the light that these images have in common, the median of at most `MOST_IMAGES`
    of them, evenly spread.

    Nothing changes where the line has measured its light by frames; for fewer than `LEAST_IMAGES` that can be decoded,
    which tell less of the lamp than of themselves; and where brightness and colours are within `USUAL_SPREADS` of the
    taught parts', as those differ among themselves.
    """
    active = engine.active
    if active is None or newest_measured(engine.ledger) is not None:
        return
    levels = []
    for image in images[:: -(-len(images) // MOST_IMAGES) or 1]:
        with suppress(ImageRejected):  # told when it is scored
            levels.append(active.sight.place(decode(image), engine.settings.source).levels)
    if len(levels) < LEAST_IMAGES:
        return
    reference, common = active.monitor.reference, np.median(levels, axis=0)
    spreads = apart(common, reference.light) / reference.spread[: len(LIGHT)]
    if np.abs(spreads).max() <= USUAL_SPREADS:
        return
    active.monitor.rewarm((), LightEstimate.within(common, reference.light))
    percent = np.rint(100 * np.expm1(active.monitor.gain)).astype(int).tolist()
    log.info("judged in the images' common light", images=len(levels), percent_by_channel=percent)
