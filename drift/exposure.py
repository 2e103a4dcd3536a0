"""A slow, causal estimate of how bright the light is, divided out before the backbone.

Light is compensated, not learned: the estimate is slower than a part and bounded in its step and in its
reach, so no single defect can hide in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE = 0.05
STEP_LIMIT = 0.35
REACH_LIMIT = math.log(4.0)


@dataclass(frozen=True)
class Exposure:
    """The logarithm of the scene's brightness relative to the version's reference, as estimated so far."""

    log_ratio: float = 0.0

    def updated(self, log_ratio: float) -> Exposure:
        """The estimate after one frame whose brightness is exp(`log_ratio`) times the reference.

        An exponentially weighted mean (Roberts 1959) with weight `RATE` over an innovation clipped to
        ±`STEP_LIMIT` (Huber's psi), itself held within ±`REACH_LIMIT`: one frame moves it by at most 1.8 %.
        """
        innovation = min(max(log_ratio - self.log_ratio, -STEP_LIMIT), STEP_LIMIT)
        moved = self.log_ratio + RATE * innovation
        return Exposure(min(max(moved, -REACH_LIMIT), REACH_LIMIT))

    def compensate(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The image (H, W, 3) u8 as the reference light would have shown it, rounded and clipped to u8."""
        table = np.clip(np.rint(np.arange(256) * math.exp(-self.log_ratio)), 0, 255).astype(np.uint8)
        compensated: npt.NDArray[np.uint8] = table[image]
        return compensated
