"""Light, signals and the monitor: slow, bounded, causal, latched, and blind to a single defect."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.rendered import Flaw, Scene, part
from drift.exposure import RATE, REACH_LIMIT, STEP_LIMIT, Exposure
from drift.monitor import Monitor, Trust
from drift.signals import IMAGE_SIGNALS, SIGNALS, Reference, Signals, mean_patch, measure, refer
from memory.features import Image, Patches

PARTS = [part(i) for i in range(12)]


def patches(image: Image) -> Patches:
    """Plain colour statistics stand in for a backbone's features."""
    cells = image.reshape(16, 16, 16, 16, 3).astype(np.float32)  # (H, W, 3) -> (rows, y, columns, x, 3)
    return np.concatenate([cells.mean(axis=(1, 3)), cells.std(axis=(1, 3))], axis=-1).reshape(-1, 6) / 64


@pytest.fixture(scope="module")
def reference() -> Reference:
    return refer(PARTS, np.stack([mean_patch(patches(p)) for p in PARTS]), seed=0)


def seen(reference: Reference, image: Image, exposure: Exposure = Exposure()) -> Signals:  # noqa: B008  # frozen
    compensated = exposure.compensate(image)
    return measure(image, compensated, patches(compensated), reference)


@given(observed=st.lists(st.floats(-20, 20), max_size=60))
def test_exposure_moves_little_per_frame_and_never_too_far(observed: list[float]) -> None:
    exposure = Exposure()
    for log_ratio in observed:
        after = exposure.updated(log_ratio)
        assert abs(after.log_ratio - exposure.log_ratio) <= RATE * STEP_LIMIT + 1e-12
        assert abs(after.log_ratio) <= REACH_LIMIT
        exposure = after


@pytest.mark.parametrize("light", [0.5, 0.8, 1.25, 1.6])
def test_exposure_finds_the_lamp_and_divides_it_out(reference: Reference, light: float) -> None:
    exposure = Exposure()
    for number in range(150):
        image = part(number, Scene(light=light))
        exposure = exposure.updated(seen(reference, image, exposure).log_ratio)
    assert math.exp(exposure.log_ratio) == pytest.approx(light, rel=0.06)
    assert exposure.compensate(part(3, Scene(light=light))).mean() == pytest.approx(part(3).mean(), rel=0.06)


def test_one_black_part_hardly_moves_the_light_and_stays_black() -> None:
    black = np.zeros((256, 256, 3), dtype=np.uint8)
    exposure = Exposure().updated(-5.0)
    assert abs(math.exp(exposure.log_ratio) - 1) < 0.02
    assert exposure.compensate(black).max() == 0


def test_neutral_light_changes_no_pixel() -> None:
    assert np.array_equal(Exposure().compensate(PARTS[0]), PARTS[0])


def test_a_single_defect_hardly_moves_a_signal(reference: Reference) -> None:
    for flaw in Flaw:
        good, bad = seen(reference, part(50)), seen(reference, part(50, flaw=flaw))
        assert abs(bad.log_ratio - good.log_ratio) < 0.02
        assert np.abs(bad.z - good.z)[: len(IMAGE_SIGNALS)].max() < 5


CHANGES = {
    "contrast": lambda image: np.clip(128 + (image.astype(float) - 128) * 0.7, 0, 255).astype(np.uint8),
    "red": lambda image: np.clip(image * np.array([1.15, 1, 1]), 0, 255).astype(np.uint8),
    "blue": lambda image: np.clip(image * np.array([1, 1, 0.85]), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("cause", CHANGES)
def test_a_change_moves_the_signal_that_is_named_after_it(reference: Reference, cause: str) -> None:
    moved = np.stack([seen(reference, CHANGES[cause](part(i))).z for i in range(50, 60)]).mean(0)
    assert abs(moved[SIGNALS.index(cause)]) > 2


def test_signals_of_the_taught_parts_lie_around_zero(reference: Reference) -> None:
    z = np.stack([seen(reference, p).z for p in PARTS])
    assert np.abs(z.mean(0)).max() < 0.1


def test_one_part_makes_a_reference_that_does_not_fire_at_nothing() -> None:
    alone = refer(PARTS[:1], mean_patch(patches(PARTS[0]))[None], seed=0)
    assert alone.spread.min() > 0
    assert np.isfinite(alone.axes).all()
    assert np.abs(seen(alone, part(50)).z[: len(IMAGE_SIGNALS)]).max() < 5


def test_a_reference_survives_the_store(reference: Reference) -> None:
    again = Reference.of(reference.arrays())
    assert np.array_equal(seen(again, part(50)).z, seen(reference, part(50)).z)


def shift(name: str, by: float) -> Signals:
    z = np.zeros(len(SIGNALS))
    z[SIGNALS.index(name)] = by
    return Signals(0.0, z)


def test_a_calm_line_never_alarms(reference: Reference) -> None:
    monitor, rng = Monitor(reference), np.random.default_rng(1)
    states = [monitor.update(Signals(rng.normal(0, 0.02), rng.normal(0, 1, len(SIGNALS))), i) for i in range(3000)]
    assert all(state.trust is Trust.STABLE for state in states)


def test_a_cause_is_named_held_and_released(reference: Reference) -> None:
    monitor = Monitor(reference)
    for i in range(50):
        monitor.update(shift("sharpness", 0), i)
    for i in range(50, 150):
        state = monitor.update(shift("sharpness", -4), i)
    assert state.trust is Trust.DRIFTING
    assert set(state.causes) == {"sharpness"}
    since = state.causes["sharpness"]
    assert 50 < since < 80
    assert monitor.update(shift("sharpness", -4), 151).causes == {"sharpness": since}, "latched, with its onset"
    for i in range(152, 300):
        state = monitor.update(shift("sharpness", 0), i)
    assert state.trust is Trust.STABLE


def test_a_slow_ramp_is_not_lost(reference: Reference) -> None:
    monitor = Monitor(reference)
    for i in range(4000):
        state = monitor.update(shift("contrast", i / 1000), i)
    assert "contrast" in state.causes


def test_far_beyond_the_reference_trust_is_lost_for_images_and_not_for_material(reference: Reference) -> None:
    blind, worn = Monitor(reference), Monitor(reference)
    for i in range(200):
        lost, new = blind.update(shift("sharpness", -60), i), worn.update(shift("material_1", 60), i)
    assert lost.trust is Trust.UNTRUSTED
    assert new.trust is Trust.DRIFTING


def test_a_burst_of_ten_wild_frames_does_not_lose_trust(reference: Reference) -> None:
    monitor = Monitor(reference)
    for i in range(60):
        state = monitor.update(shift("noise", 20 if 40 <= i < 50 else 0), i)
        assert state.trust is not Trust.UNTRUSTED


@given(z=st.lists(st.floats(-30, 30), min_size=1, max_size=40), cut=st.integers(0, 40))
def test_a_rewarmed_monitor_believes_what_the_old_one_did(reference: Reference, z: list[float], cut: int) -> None:
    past = [(Signals(v / 10, np.full(len(SIGNALS), v)), i) for i, v in enumerate(z)]
    calm, stopped = Monitor(reference), Monitor(reference)
    for signals, at_ms in past:
        calm.update(signals, at_ms)
    for signals, at_ms in past[:cut]:
        stopped.update(signals, at_ms)
    again = Monitor(reference)
    assert again.rewarm(past[:cut], stopped.exposure.log_ratio) == len(past[:cut])
    for signals, at_ms in past[cut:]:
        again.update(signals, at_ms)
    assert again.state() == calm.state()
