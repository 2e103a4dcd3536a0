"""Greedy k-centre selection: exact, deterministic, incremental."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memory.distances import nearest_squared
from memory.patch_bank import coreset
from memory.patch_bank.coreset import redundant, select

# Small whole numbers: every distance is exact in float32, so equalities are equalities.
Points = arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(-20, 20))
Nothing = np.empty((0, 3), dtype=np.float32)


def naive(points: npt.NDArray[np.float32], budget: int, first: int) -> list[int]:
    """The textbook loop (Gonzalez 1985), one choice at a time."""
    chosen = [first]
    while len(chosen) < min(budget, len(points)):
        distance = ((points[:, None] - points[chosen][None]) ** 2).sum(-1).min(1)
        chosen.append(int(distance.argmax()))
    return chosen


@given(points=Points, existing=Points, budget=st.integers(1, 50), pool=st.integers(1, 50))
def test_every_choice_is_a_farthest_point(
    points: npt.NDArray[np.float32], existing: npt.NDArray[np.float32], budget: int, pool: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coreset, "POOL", pool)
        chosen = select(existing, points, budget, seed=0)
    centres = existing
    for row in chosen:
        distance = nearest_squared(points, centres)
        assert distance[row] == distance.max() > 0
        centres = np.concatenate([centres, points[[row]]])
    assert len(chosen) == budget or nearest_squared(points, centres).max() == 0


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), pool=st.sampled_from([3, 17, 64]))
def test_without_ties_it_equals_the_textbook_loop(seed: int, pool: int) -> None:
    points = np.random.default_rng(seed).normal(size=(300, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coreset, "POOL", pool)
        chosen = select(Nothing, points, 60, seed)
    assert chosen.tolist() == naive(points, 60, int(chosen[0]))


@pytest.mark.parametrize("apart", [1.0, 10.0])
def test_what_was_set_aside_too_early_is_chosen_when_its_turn_comes(
    apart: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clusters: the radius falls at once when each has its centre, and hardly any more, or much more, after that."""
    back = []
    bring_back = coreset._Cover._bring_back
    monkeypatch.setattr(coreset._Cover, "_bring_back", lambda cover: (back.append(cover), bring_back(cover)))
    monkeypatch.setattr(coreset, "POOL", 8)
    clusters = np.repeat(rng.normal(size=(40, 3)), 40, axis=0) * apart
    sizes = np.repeat(rng.choice([0.1, 1.0], size=40), 40)[:, None]
    points = (clusters + sizes * rng.normal(size=(1600, 3))).astype(np.float32)
    chosen = select(Nothing, points, 300, 0)
    textbook = naive(points.astype(np.float64), 300, int(chosen[0]))  # type: ignore[arg-type]  # exact enough
    assert back
    assert set(chosen.tolist()) == set(textbook)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("scale", [1e-18, 1e-20, 1e-22, 1e-30])
def test_distances_that_float32_hardly_tells_from_0_come_to_an_end(scale: float, rng: np.random.Generator) -> None:
    points = (rng.normal(size=(3000, 3)) * scale).astype(np.float32)
    assert len(select(Nothing, points, 200, 0)) <= 200


@given(points=Points, budget=st.integers(1, 20), seed=st.integers(0, 1000))
def test_it_is_deterministic_and_leaves_its_inputs_alone(
    points: npt.NDArray[np.float32], budget: int, seed: int
) -> None:
    before = points.copy()
    first, second = select(Nothing, points, budget, seed), select(Nothing, points.copy(), budget, seed)
    assert np.array_equal(first, second)
    assert np.array_equal(points, before)


@given(points=Points)
def test_it_stops_when_everything_is_covered(points: npt.NDArray[np.float32]) -> None:
    chosen = select(Nothing, points, 1000, 0)
    assert len(chosen) == len(np.unique(points, axis=0))
    assert len(select(points, points, 1000, 0)) == 0


def test_a_seed_decides_the_first_choice_only_without_existing_centres(rng: np.random.Generator) -> None:
    points = rng.normal(size=(50, 3)).astype(np.float32)
    assert len({int(select(Nothing, points, 1, seed)[0]) for seed in range(30)}) > 5
    assert len({int(select(points[:1], points, 1, seed)[0]) for seed in range(30)}) == 1


@given(points=Points, budget=st.integers(1, 30))
def test_candidates_in_half_of_the_memory_give_the_same_choice(points: npt.NDArray[np.float32], budget: int) -> None:
    halves = points.astype(np.float16)
    chosen = select(halves[:2].astype(np.float32), halves, budget, 0)
    assert np.array_equal(chosen, select(halves[:2].astype(np.float32), halves.astype(np.float32), budget, 0))


@pytest.mark.parametrize("budget", [0, -1])
def test_no_budget_selects_nothing(budget: int) -> None:
    assert len(select(Nothing, np.ones((3, 3), dtype=np.float32), budget, 0)) == 0


@given(vectors=Points, count=st.integers(0, 20), seed=st.integers(0, 9))
def test_whatever_leaves_as_redundant_is_covered_whichever_other_sample_is_left_out(
    vectors: npt.NDArray[np.float32], count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    use, sample = (rng.integers(0, 3, len(vectors)).astype(np.int32) for _ in range(2))
    leaving, reach = redundant(vectors, sample, use, count)
    assert min(count, len(vectors) - 1, 1) <= len(leaving) <= count
    stays = ~np.isin(np.arange(len(vectors)), leaving)
    for row in leaving:
        for left_out in {0, 1, 2} - {sample[row]}:
            there = (sample != left_out) & (np.arange(len(vectors)) != row)
            assert not there.any() or nearest_squared(vectors[[row]], vectors[there & stays])[0] <= reach
    again, _ = redundant(vectors, sample, use, count)
    assert np.array_equal(leaving, again)


def test_the_less_used_of_the_closest_pair_leaves_and_what_is_far_stays() -> None:
    vectors = np.array([[0, 0], [1, 0], [50, 0], [90, 0], [92, 0]], dtype=np.float32)
    use, one_sample = np.array([0, 3, 0, 2, 1], dtype=np.int32), np.zeros(5, dtype=np.int32)
    assert redundant(vectors, one_sample, use, 1)[0].tolist() == [0]
    assert redundant(vectors, one_sample, use, 2)[0].tolist() == [0, 4]


def test_what_only_two_samples_show_stays_twice() -> None:
    vectors = np.array([[0, 0], [1, 0], [50, 0], [54, 0], [57, 0]], dtype=np.float32)
    sample = np.array([0, 1, 2, 2, 2], dtype=np.int32)
    use = np.zeros(5, dtype=np.int32)
    assert redundant(vectors, sample, use, 1)[0].tolist() == [4], (
        "of the closest pair each is all that covers the other"
    )
