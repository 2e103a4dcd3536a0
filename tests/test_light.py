"""The light: followed slowly, causally and within bounds, and blind to a single defect."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.datasets.rendered import Scene, part
from drift.light import BALANCE_LIMIT, RATE, REACH_LIMIT, STEP_LIMIT, LightEstimate, compensate
from drift.signals import light

REFERENCE = np.mean([light(part(i)) for i in range(12)], axis=0)


def lamp() -> LightEstimate:
    red, green, blue = REFERENCE.tolist()
    return LightEstimate((red, green, blue))


@given(observed=st.lists(st.tuples(*[st.floats(-20, 20)] * 3), max_size=60))
def test_the_light_moves_little_per_frame_and_never_too_far(observed: list[tuple[float, float, float]]) -> None:
    now = lamp()
    for levels in observed:
        after = now.updated(REFERENCE + np.array(levels), REFERENCE)
        assert np.abs(np.array(after.levels) - np.array(now.levels)).max() <= 4 * RATE * STEP_LIMIT
        gain = after.gain(REFERENCE)
        assert abs(gain.mean()) <= REACH_LIMIT + 1e-9
        assert np.abs(gain - gain.mean()).max() <= 2 * BALANCE_LIMIT + 1e-9
        now = after


@pytest.mark.parametrize("bright", [0.5, 0.8, 1.25, 1.6])
def test_the_lamp_is_found_and_divided_out(bright: float) -> None:
    now = lamp()
    for number in range(150):
        now = now.updated(light(part(number, Scene(light=bright))), REFERENCE)
    gain = now.gain(REFERENCE)
    assert math.exp(gain.mean()) == pytest.approx(bright, rel=0.06)
    again = compensate(part(3, Scene(light=bright)), gain)
    assert again.mean() == pytest.approx(part(3).mean(), rel=0.06)


def test_a_warm_lamp_is_found_and_divided_out() -> None:
    tint = (1.15, 1.0, 0.85)
    now = lamp()
    for number in range(150):
        now = now.updated(light(part(number, Scene(tint=tint))), REFERENCE)
    gain = now.gain(REFERENCE)
    assert gain == pytest.approx(np.log(tint), abs=0.02)
    again = compensate(part(3, Scene(tint=tint)), gain).mean(axis=(0, 1))
    assert again == pytest.approx(part(3).mean(axis=(0, 1)), rel=0.02)


def test_one_black_part_hardly_moves_the_light_and_stays_black() -> None:
    black = np.zeros((256, 256, 3), dtype=np.uint8)
    gain = lamp().updated(light(black), REFERENCE).gain(REFERENCE)
    assert np.abs(np.exp(gain) - 1).max() < 0.02
    assert compensate(black, gain).max() == 0


def test_neutral_light_changes_no_pixel() -> None:
    assert np.array_equal(compensate(part(0), np.zeros(3)), part(0))


def test_grey_stays_grey() -> None:
    grey = np.repeat(part(0)[:, :, 1:2], 3, axis=2)
    reference = light(grey)
    now = LightEstimate((reference[0], reference[1], reference[2])).updated(reference + 0.3, reference)
    seen = compensate(grey, now.gain(reference))
    assert seen.max() < grey.max()
    assert np.array_equal(seen[..., 0], seen[..., 1])
    assert np.array_equal(seen[..., 0], seen[..., 2])
