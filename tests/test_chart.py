"""The chart: its stated run length, its bounds, and when a change began. Frames here are drawn, not rendered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.chart import (
    BURST_FRAMES,
    CLIP,
    RUN_LENGTH_FRAMES,
    TILTS,
    Evidence,
    accumulate,
    alarming,
    as_interval,
    bound,
    calm,
    evidence,
    onset,
    restarted,
)
from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Vector

COUNT = len(SIGNALS)
DRAWS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "skewed": lambda rng, shape: rng.standard_exponential(shape) - 1,
    "heavy": lambda rng, shape: rng.standard_t(4, shape) / np.sqrt(2),
    "two kinds": lambda rng, shape: rng.choice([-1.0, 1.0], shape) + 0.1 * rng.standard_normal(shape),
}


def taught(parts: Vector) -> tuple[Vector, Vector, Evidence]:
    mean, spread = parts.mean(axis=0), parts.std(axis=0)
    return mean, spread, bound((parts - mean) / spread, np.full(COUNT, 0.1), seed=0)


def streams(z: Vector, limits: Evidence) -> Vector:
    """The first alarm of each stream z (frames, streams, S) by its own limits, or the number of frames."""
    sums = np.zeros_like(limits)
    first = np.full(z.shape[1], len(z))
    for number, frame in enumerate(z):
        sums = accumulate(sums, evidence(as_interval(frame), limits))
        new = alarming(sums).any(axis=1) & (first == len(z))
        first[new] = number
    return first


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("parts", [12, 40])
def test_calm_lines_seldom_alarm_whatever_their_distribution(kind: str, parts: int) -> None:
    """20 lines, each taught from parts of its own: no more false alarms than the run length allows."""
    rng = np.random.default_rng(7)
    frames, lines = 3_000, [taught(DRAWS[kind](rng, (parts, COUNT))) for _ in range(20)]
    mean, spread, limits = (np.stack(each) for each in zip(*lines, strict=True))
    z = (DRAWS[kind](rng, (frames, len(lines), COUNT)) - mean) / spread
    assert (streams(z, limits) < frames).sum() <= len(lines) * frames / RUN_LENGTH_FRAMES


@pytest.mark.parametrize("signal", [0, len(LIGHT), COUNT - 1])
@pytest.mark.parametrize("by", [-8.0, -2.5, 2.5, 8.0])
def test_a_change_is_found_and_dated(signal: int, by: float, rng: np.random.Generator) -> None:
    mean, spread, limits = taught(rng.standard_normal((40, COUNT)))
    z = (rng.standard_normal((400, 1, COUNT)) - mean) / spread
    z[200:, :, signal] += by
    sums, high = np.zeros((1, *limits.shape)), 0
    for number, frame in enumerate(z):
        sums = accumulate(sums, evidence(as_interval(frame), limits))
        if alarming(sums)[0, signal]:
            high = number
            break
    assert 200 < high < (245 if abs(by) < 3 else 220)
    began = onset(evidence(as_interval(z[: high + 1, 0]), limits)[:, signal], sums[0, signal])
    assert abs(began - 200) <= 20


@given(frames=st.lists(st.integers(0, 60), min_size=COUNT, max_size=COUNT), seed=st.integers(0, 99))
def test_a_chart_begun_anew_has_seen_its_newest_frames_only(frames: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    _, _, limits = taught(rng.standard_normal((40, COUNT)))
    increments = evidence(as_interval(0.3 * rng.standard_normal((60, COUNT))), limits)
    fresh = restarted(increments, np.array(frames))
    for signal, count in enumerate(frames):
        sums = np.zeros(limits.shape)
        for frame in increments[60 - count :]:
            sums = accumulate(sums, frame)
        assert fresh[signal] == pytest.approx(sums[signal])


def test_a_chart_begun_after_a_change_does_not_see_it(rng: np.random.Generator) -> None:
    mean, spread, limits = taught(rng.standard_normal((40, COUNT)))
    z = np.concatenate([np.full((1_000, COUNT), 5.0), (rng.standard_normal((40, COUNT)) - mean) / spread])
    increments, all_signals = evidence(as_interval(z), limits), np.ones(COUNT, dtype=np.int64)
    assert alarming(restarted(increments, 200 * all_signals)).all()
    assert calm(restarted(increments, 32 * all_signals)).all()


@settings(max_examples=30)
@given(z=st.floats(-1e6, 1e6), calm=st.integers(0, 300), seed=st.integers(0, 99))
def test_a_burst_never_raises_an_alarm_of_material(z: float, calm: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    _, _, limits = taught(rng.standard_normal((40, COUNT)))
    sums = np.zeros(limits.shape)
    for _ in range(calm):
        sums = accumulate(sums, evidence(as_interval(rng.uniform(-1, 1, COUNT)), limits))
    for _ in range(BURST_FRAMES):
        sums = accumulate(sums, evidence(as_interval(np.full(COUNT, z)), limits))
    assert not alarming(sums)[len(LIGHT) + len(CAMERA) :].any()


@pytest.fixture(scope="module")
def limits() -> Evidence:
    return taught(np.random.default_rng(0).standard_normal((40, COUNT)))[2]


@given(z=st.floats(-1e9, 1e9))
def test_a_single_frame_never_raises_an_alarm(limits: Evidence, z: float) -> None:
    increment = evidence(as_interval(np.full(COUNT, z)), limits)
    assert not alarming(accumulate(np.zeros(limits.shape), increment)).any()
    assert np.array_equal(increment, evidence(as_interval(np.full(COUNT, np.clip(z, -CLIP, CLIP))), limits))


def test_the_bound_holds_for_the_parts_it_was_made_from(rng: np.random.Generator) -> None:
    parts = rng.standard_normal((25, COUNT))
    mean, spread, limits = taught(parts)
    factor = np.exp(evidence(as_interval((parts - mean) / spread), limits)).mean(axis=0)  # (n, S, 2, T) -> (S, 2, T)
    assert factor.max() < 1
    assert limits.shape == (COUNT, 2, len(TILTS))


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_so_few_parts_that_they_tell_nothing_make_no_alarm(parts: int) -> None:
    """Their mean may be off by any number of spreads; that number is no error of the arithmetic."""
    alike = np.linspace(0, 1e-6, parts)[:, None] + np.full(COUNT, 5.0)
    limits = bound(alike, np.full(COUNT, 1e-4), 0)
    assert np.isfinite(limits).all()
    assert not alarming(accumulate(np.zeros_like(limits), evidence(as_interval(np.full(COUNT, 5.0)), limits))).any()


def test_fewer_parts_make_a_more_careful_chart(rng: np.random.Generator) -> None:
    few, many = (taught(rng.standard_normal((n, COUNT)))[2] for n in (8, 200))
    assert (few.mean(axis=0) > many.mean(axis=0)).all()
    assert len(MATERIAL) == 5


def test_what_is_not_exactly_known_speaks_by_its_nearer_end(rng: np.random.Generator) -> None:
    _, _, limits = taught(rng.standard_normal((40, COUNT)))
    low, high = np.full(COUNT, -2.0), np.full(COUNT, 3.0)
    increments = evidence(np.stack([low, high]), limits)
    assert np.array_equal(increments[:, 0], evidence(as_interval(low), limits)[:, 0])
    assert np.array_equal(increments[:, 1], evidence(as_interval(high), limits)[:, 1])
    assert (increments < 0).all(), "a range around what is normal says nothing against it"
