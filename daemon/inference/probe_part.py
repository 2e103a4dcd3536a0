"""A probe part: one that the line has passed, with a drawn defect that must be caught."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from daemon.inference.engine import Engine
from daemon.inference.judgement import Active
from daemon.intake.onto_canvas import Decoded
from daemon.intake.raw_image import ImageRejected
from daemon.ledger.frames import newest_passed
from drift.monitor import Trust
from memory.features import Image
from memory.region import Inside
from policies.verdict import Verdict, decide

SHARE_OF_SIDE = 8  # the drawn defect is an eighth of the image's shorter side wide
CHECKS = 8  # and has so many checks side by side


@dataclass(frozen=True)
class Probed:
    """How a probe part was judged: the frame that it was drawn on, whether it was `caught`, and by what scores."""

    frame_id: str
    caught: bool
    score: float | None
    threshold: float


def probe_part(engine: Engine, active: Active) -> Probed | None:
    """Judge the newest frame that was passed anew, with a defect drawn on it; nothing is recorded. None where no passed
    frame is kept.

    It goes the way of a frame but for its wire, from the kept file to the verdict. UNKNOWN catches too: only what
    is passed is missed. Where the defect lies is drawn by the frame's id.
    """
    frame = newest_passed(engine.ledger)
    data = engine.kept.image(frame.kept) if frame and frame.kept else None
    if frame is None or data is None:
        return None
    threshold = active.current_threshold
    draw = np.random.default_rng(int.from_bytes(hashlib.sha256(frame.frame_id.encode()).digest()[:8], "big"))
    try:
        seen = engine.decode(data)
        drawn = with_defect(seen.image, active.sight.canvas.inside, draw)
        score = engine.score_image(Decoded(b"", drawn, seen.geometry), active).score.value
    except ImageRejected:
        return Probed(frame.frame_id, True, None, threshold.value)
    passed = decide(score, threshold, replace(active.monitor.state, trust=Trust.STABLE)).verdict is Verdict.OK
    return Probed(frame.frame_id, not passed, score, threshold.value)


def with_defect(image: Image, inside: Inside | None, draw: np.random.Generator) -> Image:
    """The image (H, W, 3) u8 with a disc of black and white checks somewhere `inside`: what no good part looks like,
    and no detector may pass."""
    height, width = image.shape[:2]
    size_px = max(min(height, width) // SHARE_OF_SIDE, CHECKS)
    places = np.argwhere(np.ones((height, width), bool) if inside is None else inside)
    down, right = places[draw.integers(len(places))]
    half = size_px // 2
    top, left = np.clip((down - half, right - half), 0, (height - size_px, width - size_px))
    y, x = np.mgrid[0:size_px, 0:size_px]
    disc = (y - half) ** 2 + (x - half) ** 2 <= half**2
    checks = np.where((y // (size_px // CHECKS) + x // (size_px // CHECKS)) % 2, 255, 0).astype(np.uint8)
    drawn = image.copy()
    window = drawn[top : top + size_px, left : left + size_px]
    if inside is not None:
        disc &= inside[top : top + size_px, left : left + size_px]
    window[disc] = checks[disc][:, None]
    return drawn
