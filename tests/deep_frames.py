"""Frames with depth, as the tests use them: rendered parts with the heights of a ribbed plate."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from conftest import line_in
from pictures import INPUT_PX

from daemon.datasets.depth_frames import PAGES, joined
from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from daemon.settings.load import Settings
from memory.features import Image

Values = npt.NDArray[np.float32]


def small(number: int, scene: Scene = STEADY, flaw: Flaw | None = None) -> Image:
    resized = cv2.resize(part(number, scene, flaw), (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


def plate(number: int, dent: float = 0.0) -> Values:
    """Heights (64, 64) of a ribbed plate, tilted a little, with a sensor's noise, a few unknown; with a dent of this
    depth."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:INPUT_PX, 0:INPUT_PX] - INPUT_PX / 2
    tilt = rng.uniform(-0.02, 0.02, 2)
    heights = 20 + 2 * np.sin(x / 5) + tilt[0] * x + tilt[1] * y - dent * np.exp(-((x - 10) ** 2 + (y + 8) ** 2) / 20)
    heights = heights + rng.normal(0, 0.1, heights.shape)
    heights[rng.random(heights.shape) < 0.02] = 0
    return heights.astype(np.float32)


def shot(number: int, dent: float = 0.0, scene: Scene = STEADY, flaw: Flaw | None = None) -> bytes:
    """A frame of a part with the heights of a plate."""
    return joined(small(number, scene, flaw), plate(number, dent))


def seeing_in(folder: Path, **sections: object) -> Settings:
    """A line whose frames have depth."""
    return line_in(folder, source={**PAGES, "allowed_roots": [str(folder)]}, **sections)
