"""The heatmap over an image."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.reporting.heatmap import LINE, overlay
from memory.region import Region
from policies.threshold import calibrate


def test_the_heatmap_scale_is_fixed_by_good_parts() -> None:
    image = np.full((32, 32, 3), 90, dtype=np.uint8)
    goods = calibrate([0.5, 0.6, 1.0], 0.1)
    calm = overlay(image, np.full((4, 4), 0.6, dtype=np.float32), goods, None)
    assert np.array_equal(calm, image), "a calm part stays as it is"
    warm = np.full((4, 4), 0.4, dtype=np.float32)
    warm[0, 0] = 1.4
    marked = np.abs(overlay(image, warm, goods, None).astype(int) - image).sum(-1)
    assert marked[2, 2] > 0
    assert marked[-1, -1] == 0


def test_outside_the_region_the_picture_is_dimmed_with_a_line_around() -> None:
    image = np.full((40, 80, 3), 100, dtype=np.uint8)
    goods, calm = calibrate([0.5, 0.6, 1.0], 0.1), np.zeros((4, 8), dtype=np.float32)
    left, hole = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)), ((0.1, 0.3), (0.3, 0.3), (0.3, 0.8), (0.1, 0.8))
    shown = overlay(image, calm, goods, Region((left,), (hole,)).inside(40, 80))
    assert (shown[20, [5, 30]] == 100).all(), "as it was"
    assert (shown[20, [16, 45, 79]] == 35).all(), "not judged"
    assert (shown[20, [7, 24, 39]] == LINE).all()


def test_a_map_lies_over_its_image_by_shares() -> None:
    image = np.full((2048, 2448, 3), 90, dtype=np.uint8)
    anomaly = np.zeros((256, 306), dtype=np.float32)
    anomaly[192, 51] = 9.0
    marked = overlay(image, anomaly, calibrate([0.5, 0.6, 1.0], 0.1), None) != image
    rows, columns = np.nonzero(marked.any(axis=-1))
    assert np.mean(rows) == pytest.approx(192.5 * 8, abs=1)
    assert np.mean(columns) == pytest.approx(51.5 * 8, abs=1)
    assert np.ptp(rows) < 16
    assert np.ptp(columns) < 16
