"""The heatmap over an image."""

from __future__ import annotations

import numpy as np

from daemon.reporting.heatmap import overlay
from memory.region import Region
from policies.threshold import calibrate


def test_the_heatmap_scale_is_fixed_by_good_parts() -> None:
    image = np.full((32, 32, 3), 90, dtype=np.uint8)
    goods = calibrate([0.5, 0.6, 1.0], 0.1)
    calm = overlay(image, np.full((4, 4), 0.6, dtype=np.float32), goods, Region())
    assert np.array_equal(calm, image), "a calm part stays as it is"
    warm = np.full((4, 4), 0.4, dtype=np.float32)
    warm[0, 0] = 1.4
    marked = np.abs(overlay(image, warm, goods, Region()).astype(int) - image).sum(-1)
    assert marked[2, 2] > 0
    assert marked[-1, -1] == 0
