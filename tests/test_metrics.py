"""The field's figures, against cases worked by hand and against the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.datasets.labelled import DefectRegion
from daemon.evaluation.metrics import aupro, auroc, average_precision, dice, f1_max, seg_f1, spro

SCORES, BAD = [0.1, 0.4, 0.35, 0.8], [False, False, True, True]


def image(*values: float) -> np.ndarray:
    """An anomaly map of one row."""
    return np.array([values], dtype=np.float32)


def marked(width: int, *columns: int) -> np.ndarray:
    mask = np.zeros((1, width), dtype=bool)
    mask[0, list(columns)] = True
    return mask


def test_rankings_by_hand() -> None:
    assert auroc(SCORES, BAD) == pytest.approx(3 / 4)
    assert average_precision(SCORES, BAD) == pytest.approx((1 + 2 / 3) / 2)
    assert f1_max(SCORES, BAD) == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))


def test_scores_above_1_and_ties_are_ranked_as_they_are() -> None:
    assert auroc([1.5, 2.5, 2.5, 3.5], BAD) == pytest.approx(3.5 / 4)
    assert auroc([10.0, 20.0, 30.0, 40.0], BAD) == 1.0


@pytest.mark.parametrize("truth", [[False] * 4, [True] * 4])
def test_without_both_kinds_there_is_no_ranking(truth: list[bool]) -> None:
    assert auroc(SCORES, truth) is average_precision(SCORES, truth) is f1_max(SCORES, truth) is None


def test_overlap_of_regions_by_hand() -> None:
    anomaly, mask = image(0.9, 0.5, 0.7, *[0.1] * 7), marked(10, 0, 1)
    # Half of the region is found from rate 0 up to 1/8, all of it from there on.
    assert aupro([anomaly], [mask]) == pytest.approx((0.125 * 0.5 + 0.175) / 0.3)
    assert aupro([anomaly], [marked(10)]) is None
    assert aupro([anomaly], [marked(10, *range(10))]) is None, "no pixel is outside"


def test_regions_weigh_the_same_whatever_their_size() -> None:
    anomaly, mask = image(1, 1, 1, 0, 0.5, 0, 0), marked(7, 0, 1, 2, 4)
    assert aupro([anomaly], [mask]) == 1.0
    assert aupro([image(1, 1, 1, 0, -1, 0, 0)], [mask], limit=0.5) == pytest.approx(0.5), "the other is found last"


def test_a_saturated_region_counts_as_found_whole() -> None:
    anomaly = image(0.9, 0.8, 0.2, 0.1, 0.85, *[0.0] * 9)
    region = DefectRegion("missing", marked(14, 0, 1, 2, 3), saturation_px=2.0)
    # One of two pixels up to a rate of 0.1, both from there on.
    assert spro([anomaly], [[region]]) == pytest.approx(0.5)
    assert spro([anomaly], [[region]], limit=0.2) == pytest.approx((0.5 + 1) / 2)
    assert spro([anomaly], [[]]) is None


def test_pixels_at_one_threshold_by_hand() -> None:
    anomaly, mask = image(3, 3, 0, 0, 3, 0), marked(6, 0, 1, 2, 3)
    assert seg_f1([anomaly], [mask], 1.0) == pytest.approx(2 * 2 / (3 + 4))
    assert seg_f1([anomaly], [marked(6)], 1.0) is None
    assert dice([marked(4, 0, 1), marked(4)], [marked(4, 0), marked(4)]) == pytest.approx((2 / 3 + 1) / 2)


def the_slow_way(maps: list[np.ndarray], regions: list[list[DefectRegion]], limit: float) -> float:
    """The same area, threshold by threshold."""
    every = [np.logical_or.reduce([region.mask for region in marks] or [np.zeros((1, 6), bool)]) for marks in regions]
    good = np.concatenate([anomaly[~mask] for anomaly, mask in zip(maps, every, strict=True)])
    points = [(0.0, 0.0)]
    for threshold in sorted(set(np.concatenate(maps).ravel().tolist()), reverse=True):
        found = [
            min((anomaly[region.mask] >= threshold).sum() / (region.saturation_px or region.mask.sum()), 1.0)
            for anomaly, marks in zip(maps, regions, strict=True)
            for region in marks
        ]
        points.append((float((good >= threshold).mean()), float(np.mean(found))))
    area, (before, height) = 0.0, points[0]
    for rate, overlap in [*points[1:], (1.0, points[-1][1])]:
        if before < limit:
            end = min(rate, limit)
            slope = (overlap - height) / (rate - before) if rate > before else 0.0
            area += (end - before) * (height + height + slope * (end - before)) / 2
        before, height = rate, overlap
    return area / limit


@given(st.data())
def test_overlap_is_what_the_slow_way_gives(data: st.DataObject) -> None:
    levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    maps, regions = [], []
    for _ in range(data.draw(st.integers(1, 3))):
        maps.append(image(*data.draw(st.lists(levels, min_size=6, max_size=6))))
        columns = data.draw(st.lists(st.integers(0, 4), max_size=3, unique=True))
        enough = data.draw(st.sampled_from([None, 1.0]))
        regions.append([DefectRegion("", marked(6, *columns), enough)] if columns else [])
    limit = data.draw(st.sampled_from([0.05, 0.3, 1.0]))
    if any(regions):
        assert spro(maps, regions, limit) == pytest.approx(the_slow_way(maps, regions, limit))
    else:
        assert spro(maps, regions, limit) is None
