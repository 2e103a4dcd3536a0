"""mAP of boxes, by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.datasets.annotations import Boxes, NamedBox
from daemon.datasets.labelled import LabelledImage, Split
from daemon.evaluation.boxes import FoundBox, boxed, mean_average_precision, overlap
from daemon.evaluation.figures import figures
from daemon.evaluation.judged import MAP_PX, Judged, JudgedImage
from daemon.ledger.records import Box
from policies.threshold import calibrate

LEFT: Box = (0.0, 0.0, 0.5, 1.0)
RIGHT: Box = (0.5, 0.0, 1.0, 1.0)


def wide(share: float) -> Box:
    """`LEFT` without a part of its width: it overlaps it by this share."""
    return (0.0, 0.0, 0.5 * share, 1.0)


def test_regions_above_the_cut_are_boxed_with_their_largest_value() -> None:
    anomaly = np.zeros((4, 8), dtype=np.float32)
    anomaly[0, 0], anomaly[1, 1], anomaly[3, 5:7] = 2, 3, (4, 1)
    assert boxed(anomaly, 0.5) == (FoundBox((0, 0, 0.25, 0.5), 3.0), FoundBox((0.625, 0.75, 0.875, 1), 4.0))
    assert boxed(anomaly, 1.0) == (FoundBox((0, 0, 0.25, 0.5), 3.0), FoundBox((0.625, 0.75, 0.75, 1), 4.0))
    assert boxed(anomaly, 4.0) == ()


def test_overlap_by_hand() -> None:
    assert overlap(LEFT, RIGHT) == 0
    assert overlap(LEFT, wide(0.8)) == pytest.approx(0.8)
    assert overlap(LEFT, (0.25, 0.0, 0.75, 1.0)) == pytest.approx(1 / 3)


def test_a_box_counts_at_every_overlap_that_it_reaches() -> None:
    assert mean_average_precision([[FoundBox(LEFT, 1.0)]], [[LEFT]]) == 1.0
    assert mean_average_precision([[FoundBox(wide(0.72), 1.0)]], [[LEFT]]) == pytest.approx(0.5), "0.5 to 0.7"
    assert mean_average_precision([[FoundBox(wide(0.4), 1.0)]], [[LEFT]]) == 0.0


def test_a_wrong_box_costs_only_where_it_is_surer() -> None:
    right, wrong = FoundBox(LEFT, 0.5), FoundBox(RIGHT, 0.9)
    assert mean_average_precision([[right, wrong]], [[LEFT]]) == pytest.approx(0.5)
    assert mean_average_precision([[right, FoundBox(RIGHT, 0.1)]], [[LEFT]]) == 1.0
    assert mean_average_precision([[right], [wrong]], [[LEFT], []]) == pytest.approx(0.5), "also on a good part"


def test_a_box_is_found_once() -> None:
    twice = [FoundBox(LEFT, 0.9), FoundBox(LEFT, 0.8)]
    # The second is wrong: half of the boxes are found before it, none after.
    assert mean_average_precision([twice], [[LEFT, RIGHT]]) == pytest.approx(51 / 101)


def test_nothing_found_and_nothing_drawn() -> None:
    assert mean_average_precision([[]], [[LEFT]]) == 0.0
    assert mean_average_precision([[FoundBox(LEFT, 1.0)]], [[]]) is None


@given(st.permutations(range(6)), st.integers(0, 6))
def test_images_come_in_any_order(order: list[int], hits: int) -> None:
    images = [([FoundBox(LEFT if n < hits else RIGHT, 2.0**n)], [LEFT]) for n in range(6)]
    shuffled = [images[i] for i in order]
    plain, other = (
        mean_average_precision([found for found, _ in each], [drawn for _, drawn in each])
        for each in (images, shuffled)
    )
    assert plain == other


def test_a_set_with_boxes_has_the_figure_and_another_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    cv2.imwrite(str(path), np.zeros((32, 32, 3), dtype=np.uint8))
    threshold = calibrate([0.1, 0.2, 0.3], 0.02)
    anomaly = np.zeros((MAP_PX, MAP_PX), dtype=np.float32)
    anomaly[:, : MAP_PX // 2] = 5
    good = JudgedImage(LabelledImage(path, Split.TEST), 0.1, np.zeros_like(anomaly))
    bad = JudgedImage(LabelledImage(path, Split.TEST, "crack", Boxes((NamedBox("crack", LEFT),))), 5.0, anomaly)
    told = figures(Judged((good, bad), threshold, 3, 1.0, 1.0, 1.0))
    assert told["box_map"] == 1.0
    assert figures(Judged((good, good), threshold, 3, 1.0, 1.0, 1.0))["box_map"] is None
