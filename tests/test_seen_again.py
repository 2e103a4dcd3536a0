"""Confirmed defects on another canvas: their place and their score are those of a new look at their images."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import NOW_MS, frame
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from lessons import teach_from
from pictures import INPUT_PX, file_of

from daemon.datasets.rendered import part
from daemon.learning import answers
from daemon.service import Service
from memory.defects import Defect, on_grid
from memory.features import PatchMask
from policies.threshold import Threshold

SIDES = st.integers(1, 12)
BOX = "[0.25, 0.5, 0.5, 0.75]"


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=8)), st.tuples(SIDES, SIDES))
def test_a_mask_on_another_grid_marks_every_cell_that_it_touches_and_no_other(
    mask: PatchMask, grid: tuple[int, int]
) -> None:
    marked = on_grid(mask, grid)
    for row in range(grid[0]):
        for column in range(grid[1]):
            touching = (
                _overlap(row, grid[0], old_row, mask.shape[0]) and _overlap(column, grid[1], old_column, mask.shape[1])
                for old_row, old_column in np.argwhere(mask).tolist()
            )
            assert marked[row, column] == any(touching)


def _overlap(at: int, cells: int, other: int, others: int) -> bool:
    """Whether a cell of so many along an axis overlaps another of others."""
    return Fraction(at, cells) < Fraction(other + 1, others) and Fraction(other, others) < Fraction(at + 1, cells)


@pytest.mark.parametrize("scale", [0.5, 0.75])
def test_a_defect_seen_again_lies_where_it_was_marked_and_scores_as_its_image(
    service: Service, good_parts: Path, scale: float
) -> None:
    service.engine.judge(frame("d", spotted()))
    answers.record(service.engine.ledger, answers.answer("d", "defect", "anna", BOX), NOW_MS)
    service.recalibrate()
    before = defect_of(service)
    settings = service.engine.settings
    scene = settings.scene.model_copy(update={"scale": scale})
    service.engine.settings = settings.model_copy(update={"scene": scene})
    teach_from(service, good_parts)
    service.notice_versions()
    after = defect_of(service)
    assert after.features.grid == tuple(round(side * scale) for side in before.features.grid)
    assert np.array_equal(after.mask, on_grid(before.mask, after.features.grid))
    assert service.engine.active is not None
    shown = service.engine.score_image(service.engine.decode(spotted()), service.engine.active)
    model = service.store.current()
    score = model.snapshot.detector.score_in(after.view, after.mask).value
    assert score == pytest.approx(model.snapshot.detector.score_in(shown.view, after.mask).value, rel=1e-4)
    assert score > Threshold.of(model.version.threshold).value


def spotted() -> bytes:
    """A part with a spot in the box."""
    image = cv2.resize(part(610), (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
    image[36:44, 18:28] = (255, 0, 255)
    return file_of(image)


def defect_of(service: Service) -> Defect:
    (defect,) = service.store.current().snapshot.confirmed_defects.defects
    return defect
