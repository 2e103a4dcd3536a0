"""Rendered parts as a camera of five megapixels sees them, with defects of a few pixels."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image

SIZE_PX = (2048, 2448)  # (height, width)
MARGIN_PX = 200

Grey = npt.NDArray[np.float32]


class Flaw(StrEnum):
    """The kinds of defect, each of a given size."""

    PIT = "pit"
    SPECK = "speck"
    SCRATCH = "scratch"


def part(number: int, flaw: Flaw | None = None, flaw_px: int = 6, size_px: tuple[int, int] = SIZE_PX) -> Image:
    """The image (H, W, 3) u8 of part `number`, a brushed plate with holes and a milled groove; the same arguments give
    the same pixels. A defect of `flaw_px` lies anywhere on the plate."""
    rng = np.random.default_rng(number)
    height, width = size_px
    plate = _plate(rng, height, width)
    if flaw is not None:
        _damage(plate, flaw, flaw_px, np.random.default_rng((number, 1)))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-0.1, 0.1), 1.0)
    turn[:, 2] += rng.uniform(-2, 2, 2)
    seen = cv2.warpAffine(plate, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    seen = seen + rng.standard_normal((height, width), dtype=np.float32) * 2.0
    grey = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)  # (H, W) -> (H, W, 3)


def _plate(rng: np.random.Generator, height: int, width: int) -> Grey:
    grain = rng.standard_normal((height, width), dtype=np.float32)
    brushed = cv2.blur(grain, (41, 1)) * 25 + cv2.blur(grain, (5, 3)) * 8
    shade = np.linspace(-6, 6, width, dtype=np.float32)[None, :]
    plate: Grey = (120 + brushed + shade).astype(np.float32)
    unit = min(height, width) / 2048
    for x in (0.15, 0.5, 0.85):
        for y in (0.2, 0.8):
            centre = (int(x * width), int(y * height))
            cv2.circle(plate, centre, int(70 * unit), 35.0, -1, cv2.LINE_AA)
            cv2.circle(plate, centre, int(95 * unit), 90.0, max(int(8 * unit), 1), cv2.LINE_AA)
    cv2.line(plate, (int(0.1 * width), height // 2), (int(0.9 * width), height // 2), 80.0, max(int(24 * unit), 1))
    return plate


def _damage(plate: Grey, flaw: Flaw, flaw_px: int, rng: np.random.Generator) -> None:
    height, width = plate.shape
    margin = MARGIN_PX * min(height, width) // 2048
    x, y = int(rng.integers(margin, width - margin)), int(rng.integers(margin, height - margin))
    if flaw is Flaw.SCRATCH:
        angle = rng.uniform(0, np.pi)
        end = (int(x + 4 * flaw_px * np.cos(angle)), int(y + 4 * flaw_px * np.sin(angle)))
        cv2.line(plate, (x, y), end, 200.0, 2, cv2.LINE_AA)
    else:
        level = 30.0 if flaw is Flaw.PIT else 225.0
        cv2.circle(plate, (x, y), flaw_px // 2, level, -1, cv2.LINE_AA)
