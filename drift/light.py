"""A slow, causal estimate of the light's brightness and colour, which is divided out before the backbone.

Light is compensated, not learned: the estimate is slower than a part and bounded in its step and in its reach, so no
single defect can hide in it. Only while a line starts do few parts tell it, the first one alone, within the same reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from drift.signals import Inside, Vector
from memory.features import Image, colours, recoloured

RATE = 0.05
STEP_LIMIT = 0.35
REACH_LIMIT = math.log(4.0)
BALANCE_LIMIT = math.log(1.35)
OUTSIDE = 114  # neither black nor white, so that the region's edge is faint


@dataclass(frozen=True)
class LightEstimate:
    """The estimated light: the logarithm of each channel's brightness (red, green, blue)."""

    levels: tuple[float, float, float]

    def updated(self, seen: Vector, reference: Vector) -> LightEstimate:
        """The estimate after one frame with levels `seen` (3,); `reference` (3,) are those of the taught parts.

        Exponentially weighted means (Roberts 1959) with weight `RATE` over innovations clipped to ±`STEP_LIMIT`
        (Huber's psi): one frame moves a channel by at most 1.8 %. Bounded as by `within`.
        """
        now = np.array(self.levels)
        return LightEstimate.within(now + RATE * np.clip(seen - now, -STEP_LIMIT, STEP_LIMIT), reference)

    @classmethod
    def within(cls, levels: Vector, reference: Vector) -> LightEstimate:
        """The estimate nearest to `levels` (3,) whose brightness is within ±`REACH_LIMIT` of the reference (3,) and
        whose channels are each within ±`BALANCE_LIMIT` of that brightness, as lamps and daylight are.
        """
        away = levels - reference
        brightness = min(max(float(away.mean()), -REACH_LIMIT), REACH_LIMIT)
        balance = np.clip(away - away.mean(), -BALANCE_LIMIT, BALANCE_LIMIT)
        red, green, blue = (reference + brightness + balance).tolist()
        return cls((red, green, blue))

    def gain(self, reference: Vector) -> Vector:
        """The logarithm by which each channel (3,) is brighter than the reference (3,)."""
        return np.array(self.levels) - reference


def apart(lights: Vector, from_levels: Vector) -> Vector:
    """How far lights (..., 3) lie from these levels (3,): in common, and red and blue against green (..., 3)."""
    away = lights - from_levels
    return np.stack([away.mean(axis=-1), away[..., 0] - away[..., 1], away[..., 2] - away[..., 1]], axis=-1)


def compensate(image: Image, gain: Vector, inside: Inside = None) -> Image:
    """The image (H, W, 3) u8 as the reference light would have shown it, rounded and clipped to u8, and `painted`; no
    light changes a depth picture behind the colours."""
    tables = np.clip(np.rint(np.arange(256)[:, None] * np.exp(-gain)), 0, 255).astype(np.uint8)
    lit = cv2.LUT(colours(image), tables[None]).astype(np.uint8, copy=False)  # (256, 3) -> (1, 256, 3)
    return painted(recoloured(image, lit), inside)


def painted(image: Image, inside: Inside) -> Image:
    """The image (H, W, 3) u8 with one grey wherever it is not `inside` (H, W), so that nothing there can matter."""
    return image if inside is None else np.where(inside[:, :, None], image, np.uint8(OUTSIDE))
