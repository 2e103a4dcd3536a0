"""Confirmed defects: bounded, immutable, each with the patches that show it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from versions import features

from memory.defects import ConfirmedDefects, Defect, box_mask, worst_patches


def defect(name: str, where: float) -> Defect:
    return Defect(name, features(np.full((4, 3), where), (2, 2)), np.ones((2, 2), dtype=bool))


@given(places=st.lists(st.integers(-50, 50), max_size=20), limit=st.integers(1, 6))
def test_the_replay_set_is_bounded_and_forgets_likeness_not_kinds(places: list[int], limit: int) -> None:
    replay = ConfirmedDefects()
    for i, place in enumerate(places):
        replay = replay.remember(defect(str(i), place), limit)
    assert len(replay) == min(len(places), limit)
    kinds = {int(d.features.patches[0, 0]) for d in replay.defects}
    if len(set(places)) <= limit:
        assert kinds == set(places), "while there is room for every kind, no kind is lost"


def test_a_defect_is_remembered_once_and_sets_are_immutable() -> None:
    empty = ConfirmedDefects()
    one = empty.remember(defect("a", 1), 9)
    assert one.remember(defect("a", 2), 9) is one
    assert len(empty) == 0
    assert empty.patches is None


def test_the_worst_region_holds_the_highest_patches() -> None:
    anomaly = np.arange(36, dtype=np.float32).reshape(6, 6)
    assert sorted(anomaly[worst_patches(anomaly)]) == list(range(26, 36))


@given(
    box=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99), st.floats(0.001, 1), st.floats(0.001, 1)),
    rows=st.integers(1, 40),
)
def test_a_box_marks_at_least_one_patch(box: tuple[float, float, float, float], rows: int) -> None:
    left, top, width, height = box
    assert box_mask((left, top, min(left + width, 1), min(top + height, 1)), (rows, 7)).any()
