"""SimpleNet: a discriminator trained on a patch bank, which learns when it is trained again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.calibration import CalibrationSet
from memory.detector import Bounds, Capacity, GoodPart, Retrained
from memory.errors import UnsuitableImages
from memory.features import Features, View
from memory.learners import learner_of
from memory.simplenet import training
from memory.simplenet.detector import SIMPLENET, SimpleNet, as_arrays, of_arrays
from memory.simplenet.learner import SimpleNetLearner
from memory.simplenet.network import SLOPE, Discriminator, named
from memory.simplenet.training import trained

GRID, WIDTH = (2, 3), 5
CAPACITY = Capacity(1000, 100)
LEARNER = SimpleNetLearner()


def patches_of(count: int, seed: int, *, at: float = 0.0) -> npt.NDArray[np.float32]:
    """Patches around a place, of which the last two channels are the same: there is no variance between them."""
    drawn = np.random.default_rng(seed).normal(at, 1, (count, WIDTH))
    drawn[:, 4] = drawn[:, 3]
    return drawn.astype(np.float16).astype(np.float32)


def parts(count: int, seed: int = 0, *, at: float = 0.0) -> list[GoodPart]:
    every = patches_of(6 * count, seed, at=at).reshape(count, 6, WIDTH)  # (6 * count, D) -> (count, 6, D)
    return [GoodPart(f"{seed}-{n}.png", View(Features(patches, GRID))) for n, patches in enumerate(every)]


def calibrated(detector: SimpleNet) -> SimpleNet:
    goods = parts(12, seed=50)
    seen = CalibrationSet(tuple(good.sample for good in goods), tuple(good.view.features for good in goods))
    return LEARNER.finish(detector, seen, (), lambda _: 0.0)


@pytest.fixture(scope="module", autouse=True)
def _small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "BATCH", 64)
        patched.setattr(training, "STEPS", 300)
        yield


@pytest.fixture(scope="module")
def taught(_small_batches: None) -> SimpleNet:
    return calibrated(LEARNER.fit(parts(40), CAPACITY, 0))


def test_what_is_far_from_good_patches_scores_higher_the_farther_it_is(taught: SimpleNet) -> None:
    good, *odd = (taught.discriminator.values(patches_of(50, 3, at=at)).mean() for at in (0, 3, 6, 12))
    assert 0 <= good < odd[0] < odd[1] < odd[2]


def test_what_breaks_a_rule_between_channels_scores_high(taught: SimpleNet) -> None:
    broken = patches_of(50, 3)
    broken[:, 4] *= -1
    assert taught.discriminator.values(broken).mean() > 3 * taught.discriminator.values(patches_of(50, 3)).mean()


def test_a_score_is_the_largest_value_and_says_where(taught: SimpleNet) -> None:
    seen = patches_of(6, 9)
    seen[4] += 8
    score = taught.score(View(Features(seen, GRID)))
    assert score.evidence["at"] == [1, 1]
    assert score.map[1, 1] == score.map.max() == np.float32(score.value)
    assert score.value == taught.discriminator.values(seen).max()
    mask = np.zeros(GRID, dtype=bool)
    mask[0] = True
    inside = taught.score_in(View(Features(seen, GRID)), mask)
    assert inside.value == taught.discriminator.values(seen[:3]).max()
    assert (inside.map[1] == 0).all()


def test_training_depends_on_its_arguments_alone_and_leaves_chance_as_it_was() -> None:
    good = patches_of(200, 0)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, again, other = trained(good, 7), trained(good, 7), trained(good, 8)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (one.values(good) == again.values(good)).all()
    assert (one.values(good) != other.values(good)).any()


def test_parts_that_are_all_the_same_train_a_network_of_finite_values() -> None:
    same = [GoodPart(f"{n}.png", View(Features(np.ones((6, WIDTH), dtype=np.float32), GRID))) for n in range(2)]
    detector = LEARNER.fit(same, CAPACITY, 0)
    assert detector.size == 1
    assert np.isfinite(detector.discriminator.values(patches_of(10, 0))).all()


def test_images_of_which_only_some_patches_are_kept_are_refused() -> None:
    large = Features(np.zeros((10, WIDTH), dtype=np.float32), (100, 100), np.arange(10), 10_000)
    with pytest.raises(UnsuitableImages, match="10,000 of big"):
        LEARNER.fit([GoodPart("big.png", View(large))], CAPACITY, 0)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=25)
def test_values_are_those_of_the_layers_one_after_the_other(width: int, hidden: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (first, a), (last, b) = [
        (rng.normal(size=(i, o)).astype(np.float32), rng.normal(size=o).astype(np.float32))
        for i, o in ((width, hidden), (hidden, 1))
    ]
    seen = rng.normal(size=(3, width)).astype(np.float32)
    network = Discriminator(((first, a), (last, b)), named(seen))
    for patch, value in zip(seen, network.values(seen), strict=True):
        inner = [sum(patch[i] * first[i, o] for i in range(width)) + a[o] for o in range(hidden)]
        odds = sum((each if each > 0 else SLOPE * each) * last[o, 0] for o, each in enumerate(inner)) + b[0]
        assert value == pytest.approx(np.log1p(np.exp(-odds)), rel=1e-4, abs=1e-6)
    assert of_arrays(as_arrays(network)).values(seen).tolist() == network.values(seen).tolist()


def test_a_lesson_teaches_the_bank_and_a_retraining_the_scores(taught: SimpleNet) -> None:
    assert isinstance(learner_of(SIMPLENET), Retrained)
    assert not LEARNER.outdated(taught)
    fresh = parts(4, seed=20, at=4)
    extension = LEARNER.extend(taught, fresh, (), Bounds(1e9, taught.ranks[0].mean()), (), CAPACITY, 0)
    extended = extension.detector
    assert isinstance(extended, SimpleNet)
    assert extension.learned
    assert LEARNER.contributors(taught, extended)
    assert LEARNER.contributors(taught, extended) <= {good.sample for good in fresh}
    view = parts(1, seed=21, at=4)[0].view
    assert extended.score(view).value == taught.score(view).value
    assert LEARNER.outdated(extended)
    retrained = LEARNER.with_retrained(extended, LEARNER.retrain(extended, 0))
    assert not LEARNER.outdated(retrained)
    assert retrained.score(view).value < taught.score(view).value / 2


def test_a_bound_means_the_same_rank_by_the_bank(taught: SimpleNet) -> None:
    ranked = replace(taught, ranks=np.array([[1.0, 2.0, 4.0], [10.0, 20.0, 30.0]]))
    assert [ranked.by_bank(bound) for bound in (0.5, 1.0, 3.0, 4.0, 8.0)] == [10.0, 10.0, 25.0, 30.0, 30.0]


def test_what_was_stored_scores_the_same(taught: SimpleNet) -> None:
    again = LEARNER.load(taught.arrays(), taught.samples)
    view = parts(1, seed=3)[0].view
    assert again.score(view).value == taught.score(view).value
    assert (again.ranks == taught.ranks).all()
    assert again.samples == taught.samples
    assert not LEARNER.outdated(again)


@pytest.mark.parametrize("broken", ["layer.1.weight", "layer.2.bias", "ranks"])
def test_arrays_that_do_not_fit_are_refused(taught: SimpleNet, broken: str) -> None:
    arrays = dict(taught.arrays())
    arrays[broken] = arrays[broken][..., :0]
    with pytest.raises(ValueError, match="of"):
        LEARNER.load(arrays, taught.samples)
