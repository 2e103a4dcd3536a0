"""A probe part: one that the line has passed, with a drawn defect that must be caught."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daemon.inference.engine import Engine
from daemon.inference.judgement import Active
from daemon.intake.onto_canvas import Decoded
from daemon.intake.raw_image import ImageRejected
from daemon.ledger.frames import newest_passed
from drift.monitor import Trust
from memory.features import Image, colours
from memory.region import Inside
from policies.verdict import Verdict, decide

SHARE_OF_SIDE = 8  # the drawn defect is an eighth of the image's shorter side wide
CHECKS = 8  # and has so many checks side by side
TRIES = 3  # defects that must all be passed before it is said that the line does not inspect
PLACES = 20  # places that are drawn for each, of which the one is taken where most of it can be seen
LEAST_SEEN = 0.25


@dataclass(frozen=True)
class Probed:
    """How a probe part was judged: the frame that it was drawn on, whether a defect on it was `caught`, and by what
    scores at most."""

    frame_id: str
    caught: bool
    score: float
    threshold: float


def probe_part(engine: Engine, active: Active, draw: np.random.Generator) -> Probed | None:
    """Judge the newest frame that was passed anew, with a defect drawn on it; nothing is recorded. None where that
    proves nothing: no passed frame is kept, this version cannot judge it, or no place for a defect is large enough.

    It goes the way of a frame but for its wire, from the kept file to the verdict. It is missed where it is passed with
    each of `TRIES` defects, at places by `draw`.
    """
    frame = newest_passed(engine.ledger)
    data = engine.kept.image(frame.kept) if frame and frame.kept else None
    if frame is None or data is None:
        return None
    threshold, canvas = active.current_threshold, active.sight.canvas
    highest = -math.inf
    try:
        seen = engine.decode(data)
        placed = active.sight.place(seen, engine.settings.source).raw
        lies_as_taught = replace(active, sight=replace(active.sight, template=None))
        for _ in range(TRIES):
            drawn = with_defect(placed, canvas.inside, draw)
            if drawn is None:
                return None
            scored = engine.score_image(Decoded(b"", drawn, seen.geometry), lies_as_taught)
            highest = max(highest, scored.score.value)
            if decide(highest, threshold, replace(active.monitor.state, trust=Trust.STABLE)).verdict is not Verdict.OK:
                return Probed(frame.frame_id, True, highest, threshold.value)
    except ImageRejected:
        return None
    return Probed(frame.frame_id, False, highest, threshold.value)


def with_defect(image: Image, inside: Inside | None, draw: np.random.Generator) -> Image | None:
    """The image (H, W, 3 or 6) u8 with a disc of black and white checks somewhere `inside`: what no good part looks
    like, and no detector may pass. None where too little of it could be seen."""
    height, width = image.shape[:2]
    size_px = min(max(min(height, width) // SHARE_OF_SIDE, CHECKS), height, width)
    judged = np.ones((height, width), bool) if inside is None else inside
    y, x = np.mgrid[0:size_px, 0:size_px]
    disc = (y - (size_px - 1) / 2) ** 2 + (x - (size_px - 1) / 2) ** 2 <= (size_px / 2) ** 2
    checks = np.where((y * CHECKS // size_px + x * CHECKS // size_px) % 2, 255, 0).astype(np.uint8)
    places = np.argwhere(judged)
    corners = places[draw.integers(len(places), size=PLACES)] - size_px // 2
    windows = [_window(corner, size_px, (height, width)) for corner in corners]
    window = max(windows, key=lambda each: int((disc & judged[each]).sum()))
    shown = disc & judged[window]
    if shown.sum() < LEAST_SEEN * disc.sum():
        return None
    drawn = image.copy()
    colours(drawn)[window][shown] = checks[shown][:, None]
    return drawn


def _window(corner: npt.NDArray[np.int64], size_px: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    """A window of this size, moved into the image where its corner is not."""
    top, left = (int(np.clip(at, 0, side - size_px)) for at, side in zip(corner, shape, strict=True))
    return slice(top, top + size_px), slice(left, left + size_px)
