"""A rendered production line for the demo and the tests: brushed plates with holes, light, wear and defects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image

SIZE_PX = 256
Canvas = npt.NDArray[np.float32]


class Flaw(StrEnum):
    """The kinds of defect that the rendered line makes."""

    SCRATCH = "scratch"
    STAIN = "stain"
    CHIP = "chip"
    BURR = "burr"


@dataclass(frozen=True)
class Scene:
    """The rendered scene: `light` multiplies every pixel and `tint` its red, green and blue; `wear` in [0, 1] turns the
    material into another batch, more coarsely brushed, and `warmth` in [0, 1] into a warmer one. The lens may be out of
    focus, the sensor noisier, the fixture moved and turned (clockwise).
    """

    light: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    wear: float = 0.0
    warmth: float = 0.0
    blur_px: float = 0.0
    noise: float = 0.008
    shift_px: tuple[float, float] = (0.0, 0.0)
    turn_deg: float = 0.0


STEADY = Scene()


def part(number: int, scene: Scene = STEADY, flaw: Flaw | None = None) -> Image:
    """The image (256, 256, 3) u8 of part `number`: the same arguments give the same pixels."""
    rng = np.random.default_rng(number)
    plate = _plate(rng, scene)
    if flaw is not None:
        plate = _damaged(plate, flaw, np.random.default_rng((number, 1)))
    angle = rng.uniform(-1.0, 1.0) - scene.turn_deg
    turn = cv2.getRotationMatrix2D((SIZE_PX / 2, SIZE_PX / 2), angle, 1.0)
    turn[:, 2] = turn[:, 2] + rng.uniform(-1.5, 1.5, 2) + scene.shift_px
    placed = cv2.warpAffine(plate, turn, (SIZE_PX, SIZE_PX), borderValue=(0.13, 0.13, 0.14))
    if scene.blur_px:
        placed = cv2.GaussianBlur(placed, (0, 0), scene.blur_px)
    seen = rng.normal(0, scene.noise, (SIZE_PX, SIZE_PX, 3))
    seen += placed * scene.light * np.array(scene.tint, dtype=np.float32)
    seen *= 255
    np.rint(seen, out=seen)
    return np.clip(seen, 0, 255, out=seen).astype(np.uint8)


def _plate(rng: np.random.Generator, scene: Scene) -> Canvas:
    grain = rng.normal(0, 1, (SIZE_PX, SIZE_PX)).astype(np.float32)
    fine = cv2.blur(grain, (25, 1)) * 5
    coarse = cv2.blur(cv2.resize(grain[:64, :64], (SIZE_PX, SIZE_PX)), (9, 5)) * 2.0
    brushed = 0.46 + 0.022 * ((1 - scene.wear) * fine + scene.wear * coarse)
    shade = np.linspace(0.95, 1.05, SIZE_PX, dtype=np.float32)[None, :]
    tint = np.array([1 + 0.10 * scene.warmth, 1.0, 1 - 0.12 * scene.warmth], dtype=np.float32)
    canvas = np.empty((SIZE_PX, SIZE_PX, 3), dtype=np.float32)
    canvas[:] = (0.13, 0.13, 0.14)
    inside = slice(34, 223)
    canvas[inside, inside] = (brushed * shade)[inside, inside, None] * tint  # (H, W) -> (H, W, 3)
    for x, y in ((64, 64), (192, 64), (64, 192), (192, 192)):
        cv2.circle(canvas, (x, y), 12, (0.10, 0.10, 0.11), -1, cv2.LINE_AA)
    cv2.circle(canvas, (128, 128), 38, (0.33, 0.33, 0.34), 3, cv2.LINE_AA)
    return canvas


def _damaged(plate: Canvas, flaw: Flaw, rng: np.random.Generator) -> Canvas:
    marked = plate.copy()
    x, y = (int(v) for v in rng.integers(85, 171, 2))
    if flaw is Flaw.SCRATCH:
        angle, length = rng.uniform(0.4, math.pi - 0.4), rng.uniform(22, 38)
        ends = [(int(x + s * length * math.cos(angle)), int(y + s * length * math.sin(angle))) for s in (-1, 1)]
        cv2.line(marked, ends[0], ends[1], (0.85, 0.85, 0.86), 2, cv2.LINE_AA)
    elif flaw is Flaw.STAIN:
        blot = np.zeros(marked.shape[:2], dtype=np.float32)
        cv2.ellipse(blot, (x, y), (int(rng.integers(10, 18)), int(rng.integers(8, 13))), 30, 0, 360, 1.0, -1)
        marked *= 1 - 0.75 * cv2.GaussianBlur(blot, (0, 0), 3)[:, :, None]
    elif flaw is Flaw.CHIP:
        cv2.circle(marked, (222, y), int(rng.integers(16, 24)), (0.13, 0.13, 0.14), -1, cv2.LINE_AA)
    else:
        cv2.ellipse(marked, (x + 3, y + 3), (11, 7), 20, 0, 360, (0.12, 0.12, 0.12), -1, cv2.LINE_AA)
        cv2.ellipse(marked, (x, y), (9, 6), 20, 0, 360, (0.8, 0.8, 0.8), -1, cv2.LINE_AA)
    return marked
