"""Defects drawn on good parts, where real ones are not at hand: they compare detectors, and promise nothing.

After the field's ways to make anomalies: a piece of the part in another place (Li et al., "CutPaste", CVPR 2021), a
foreign texture under an irregular mask (Zavrtanik et al., "DRAEM", ICCV 2021), and what lines know: scratches, stains,
smears.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.datasets.labelled import Mask
from memory.features import Image

SMALLEST, LARGEST = 0.03, 0.12  # of the shorter side
PLACES = 12  # of which the one with the most contrast is taken: a part lies there rather than its background
TRIES = 8
LEAST_CHANGE = 12.0  # levels, on average under the mask: less is not to be seen


@dataclass(frozen=True)
class DrawnDefect:
    """A part with a defect of a kind (H, W, 3) u8, and where it is (H, W)."""

    kind: str
    image: Image
    mask: Mask


Draw = Callable[[Image, Mask, np.random.Generator], Image]


def drawn(part: Image, kind: str, rng: np.random.Generator) -> DrawnDefect:
    """The part with a defect of one of `KINDS`, of a random size and place; the same for the same generator."""
    height, width = part.shape[:2]
    for _ in range(TRIES):
        size_px = max(int(min(height, width) * rng.uniform(SMALLEST, LARGEST)), 3)
        mask = _scratch(part, size_px, rng) if kind == "scratch" else _blot(part, size_px, rng)
        changed = KINDS[kind](part, mask, rng)
        image = np.where(mask[:, :, None], changed, part).astype(np.uint8)
        change = np.abs(image.astype(np.float32) - part)[mask].mean() if mask.any() else 0.0
        if change >= LEAST_CHANGE:
            break
    return DrawnDefect(kind, image, mask)


def _place(part: Image, size_px: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where a defect of this size lies, by its middle (row, column)."""
    height, width = part.shape[:2]
    half = size_px // 2
    places = [
        (int(rng.integers(half, max(height - half, half + 1))), int(rng.integers(half, max(width - half, half + 1))))
        for _ in range(PLACES)
    ]
    return max(places, key=lambda place: float(_around(part, place, size_px).std()))


def _around(part: Image, place: tuple[int, int], size_px: int) -> Image:
    row, column = place
    top, left = max(row - size_px, 0), max(column - size_px, 0)
    return part[top : row + size_px + 1, left : column + size_px + 1]


def _blot(part: Image, size_px: int, rng: np.random.Generator) -> Mask:
    """An irregular spot: smoothed noise within an ellipse."""
    height, width = part.shape[:2]
    row, column = _place(part, size_px, rng)
    canvas = np.zeros((height, width), dtype=np.uint8)
    axes = (max(int(size_px / 2 * rng.uniform(0.5, 1)), 1), max(int(size_px / 2 * rng.uniform(0.5, 1)), 1))
    cv2.ellipse(canvas, (column, row), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    noise = cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), max(size_px / 6, 1.0))
    rough = (canvas > 0) & (noise > np.quantile(noise, 0.25))
    return np.asarray(rough if rough.any() else canvas > 0)


def _scratch(part: Image, size_px: int, rng: np.random.Generator) -> Mask:
    """A thin line with a bend."""
    row, column = _place(part, size_px, rng)
    angle, length = rng.uniform(0, 2 * np.pi), 3 * size_px
    points = [(column, row)]
    for _ in range(2):
        angle += rng.uniform(-0.5, 0.5)
        x, y = points[-1]
        points.append((int(x + length / 2 * np.cos(angle)), int(y + length / 2 * np.sin(angle))))
    canvas = np.zeros(part.shape[:2], dtype=np.uint8)
    thick = max(min(part.shape[:2]) // 150, 1)
    cv2.polylines(canvas, [np.array(points, dtype=np.int32)], False, 255, thick)
    return np.asarray(canvas > 0)


def _stain(part: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """Darker or brighter, with a tinge."""
    by = rng.uniform(25, 70) * rng.choice([-1, 1]) + rng.uniform(-15, 15, 3)
    return np.asarray(np.clip(part + np.where(mask[:, :, None], by, 0), 0, 255), dtype=np.uint8)


def _groove(part: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """One grey all along, as bare material shows."""
    del mask
    return np.full_like(part, int(rng.choice([int(rng.integers(0, 60)), int(rng.integers(190, 256))])))


def _moved(part: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """A piece of the same part, from elsewhere and turned."""
    del mask
    height, width = part.shape[:2]
    turned = np.rot90(part, int(rng.integers(1, 4))) if height == width else part[::-1, ::-1]
    by = (int(rng.integers(height // 4, 3 * height // 4 + 1)), int(rng.integers(width // 4, 3 * width // 4 + 1)))
    return np.roll(turned, by, axis=(0, 1))


def _smear(part: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """Blurred along one direction, where structure is lost."""
    length = max(int(1.5 * np.sqrt(mask.sum())), 5) | 1
    kernel = np.zeros((length, length), dtype=np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D((length / 2, length / 2), float(rng.uniform(0, 180)), 1)
    turned = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), dtype=np.float32)
    return np.asarray(cv2.filter2D(part, -1, turned / max(float(turned.sum()), 1e-6)), dtype=np.uint8)


def _foreign(part: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """A texture that the part does not have, half seen through."""
    del mask
    rough = cv2.GaussianBlur(rng.normal(size=part.shape).astype(np.float32), (0, 0), float(rng.uniform(0.8, 3)))
    texture = 128 + rough / max(float(rough.std()), 1e-6) * 50
    return np.asarray(np.clip(0.4 * part + 0.6 * texture, 0, 255), dtype=np.uint8)


KINDS: dict[str, Draw] = {
    "stain": _stain,
    "scratch": _groove,
    "moved piece": _moved,
    "smear": _smear,
    "foreign texture": _foreign,
}
