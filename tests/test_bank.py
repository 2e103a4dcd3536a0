"""The bank: immutable, exact, and monotone in what it holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from versions import bank_of, features

from memory.detector import Capacity, GoodPart
from memory.errors import DriftlineError
from memory.features import Features, View
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.defect_memory import DefectMemory
from memory.patch_bank.good_patches import gather
from memory.patch_bank.index import IVF_FROM, Index
from memory.patch_bank.learner import PatchBankLearner
from memory.patch_bank.neighbours import NeighbourCache

# Small whole numbers: distances are exact, so "never raises" needs no tolerance.
Vectors = arrays(np.float32, st.tuples(st.integers(1, 30), st.just(4)), elements=st.integers(-30, 30))


@given(known=Vectors, asked=Vectors)
def test_the_score_is_the_largest_distance_to_the_nearest_patch(
    known: npt.NDArray[np.float32], asked: npt.NDArray[np.float32]
) -> None:
    score = bank_of(gather([("a", known)])).score(View(features(asked)))
    exact = np.sqrt(((asked[:, None] - known[None]) ** 2).sum(-1).min(1))
    assert np.array_equal(score.map.reshape(-1), exact.astype(np.float32))
    assert score.value == exact.astype(np.float32).max()


@given(known=Vectors, asked=Vectors, seed=st.integers(0, 100))
def test_others_patches_are_found_behind_however_many_of_one_s_own(
    known: npt.NDArray[np.float32], asked: npt.NDArray[np.float32], seed: int
) -> None:
    """Own ones may be all that is near: more of them than a search for a few neighbours finds."""
    rng = np.random.default_rng(seed)
    known = np.concatenate([known, known + 50, asked, asked])  # every patch asked for is known, twice
    owners = np.append(rng.integers(0, 3, size=len(known) - 2 * len(asked)), np.full(2 * len(asked), 2)).astype(
        np.int32
    )
    owners[:2] = 0, 1
    own = np.full(len(asked), 2, dtype=np.int32)
    distance, nearest = Index(known).search_others(asked, owners, own)
    others = known[owners != 2]
    assert np.array_equal(distance, np.sqrt(((asked[:, None] - others[None]) ** 2).sum(-1).min(1)).astype(np.float32))
    assert (owners[nearest] != 2).all()
    assert np.array_equal(distance, np.sqrt(((asked - known[nearest]) ** 2).sum(-1)).astype(np.float32))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_bank_of_few_patches_of_large_images_is_taught(size: int, rng: np.random.Generator) -> None:
    """None of them need lie on a lattice."""
    patches = rng.standard_normal((2, 70 * 80, 4)).astype(np.float32)
    goods = [GoodPart(str(i), View(Features(each, (70, 80)))) for i, each in enumerate(patches)]
    bank = PatchBankLearner().fit(goods, Capacity(size, 1), seed=0)
    assert bank.size == size
    assert np.isfinite(bank.score(goods[0].view).value)


@given(known=Vectors, more=Vectors, asked=Vectors)
def test_adding_vectors_never_raises_a_distance(
    known: npt.NDArray[np.float32], more: npt.NDArray[np.float32], asked: npt.NDArray[np.float32]
) -> None:
    small = bank_of(gather([("a", known)])).score(View(features(asked)))
    large = bank_of(gather([("a", known), ("b", more)])).score(View(features(asked)))
    assert (large.map <= small.map).all()


@given(known=Vectors, asked=Vectors)
def test_a_search_never_mutates(known: npt.NDArray[np.float32], asked: npt.NDArray[np.float32]) -> None:
    bank = bank_of(gather([("a", known)]))
    vectors, query = bank.good.vectors.copy(), asked.copy()
    first, second = bank.score(View(features(asked))), bank.score(View(features(asked)))
    assert np.array_equal(bank.good.vectors, vectors)
    assert np.array_equal(asked, query)
    assert np.array_equal(first.map, second.map)
    assert bank.size == len(known)


@given(known=Vectors)
def test_what_is_in_the_bank_scores_zero(known: npt.NDArray[np.float32]) -> None:
    assert bank_of(gather([("a", known)])).score(View(features(known))).value == 0


def test_the_bank_cannot_be_written() -> None:
    bank = gather([("a", np.ones((2, 4), dtype=np.float32))])
    with pytest.raises(ValueError, match="read-only"):
        bank.vectors[0, 0] = 5
    with pytest.raises(AttributeError):
        bank.samples = ()  # type: ignore[misc]  # that is the point


def test_an_empty_bank_is_refused() -> None:
    with pytest.raises(DriftlineError, match="at least one vector"):
        gather([("a", np.empty((0, 4), dtype=np.float32))])


def test_every_patch_knows_who_gave_it() -> None:
    one, two = np.zeros((2, 4), dtype=np.float32), np.full((3, 4), 9, dtype=np.float32)
    good = gather([("a", one), ("b", two), ("a", one + 1)])
    assert good.samples == ("a", "b")
    evidence = bank_of(good).score(View(features(np.full((1, 4), 8.6)))).evidence
    words = "0.8 from the nearest good patch, 0.8 times what is usual in such an image (1)"
    assert evidence == {"at": [0, 0], "sample": "b", "place": 0, "words": words}
    kept = good.subset(np.array([4, 3]))
    assert kept.samples == ("b",)
    assert kept.patch_index.tolist() == [1, 2]
    both = kept.joined(good.subset(np.array([0, 2])))
    assert (both.samples, both.sample_index.tolist(), both.patch_index.tolist()) == (
        ("b", "a"),
        [0, 0, 1, 0],
        [1, 2, 0, 0],
    )


@given(known=Vectors, asked=Vectors, low=st.floats(0.1, 5), wide=st.floats(0, 5))
def test_a_score_is_in_units_of_the_images_level_within_bounds(
    known: npt.NDArray[np.float32], asked: npt.NDArray[np.float32], low: float, wide: float
) -> None:
    plain = gather([("a", known)])
    distance, _ = plain.index.search_flat(asked)
    scaled = replace(plain, landmarks=known[:1], scale_range=(low, low + wide))
    score, scale = bank_of(scaled).score(View(features(asked))), scaled.scale(features(asked))
    assert low <= scale <= low + wide
    assert np.array_equal(score.map.reshape(-1), distance / np.float32(scale))
    assert score.value == score.map.max()


@pytest.mark.parametrize(
    ("exponent", "odd", "usual"), [(1.0, 20 / 4, 3 / 3), (0.5, 20 / (4 * 8**0.5) ** 0.5, 3 / (3 * 8**0.5) ** 0.5)]
)
def test_a_part_that_is_odd_all_over_cannot_excuse_itself(exponent: float, odd: float, usual: float) -> None:
    """Taught parts have levels of 2 to 4: no part is divided by more than the largest level makes of it."""
    taught = [features(np.full((4, 4), x)) for x in (1.0, 2.0)]
    zero = np.zeros((4, 4), dtype=np.float32)
    good = replace(gather([("a", zero)]).with_landmarks(zero[:1], taught), scale_exponent=exponent)
    assert good.scale_range == (2.0, 4.0)
    assert bank_of(good).score(View(features(np.full((8, 4), 10.0)))).value == pytest.approx(odd)
    assert bank_of(good).score(View(features(np.full((8, 4), 1.5)))).value == pytest.approx(usual)


def test_where_calm_patches_are_alike_to_the_bit_distances_stay_plain() -> None:
    zero = np.zeros((4, 4), dtype=np.float32)
    good = gather([("a", zero)]).with_landmarks(zero[:1], [features(zero)])
    assert bank_of(good).score(View(features(np.full((1, 4), 3.0)))).value == 6.0


def test_learning_leaves_an_images_level_alone(rng: np.random.Generator) -> None:
    taught, new = (rng.standard_normal((50, 4)).astype(np.float32) for _ in range(2))
    asked = features(rng.standard_normal((20, 4)))
    good = gather([("a", taught)]).with_landmarks(taught[:5], [features(taught)])
    extended, cut = good.joined(gather([("b", new)])), good.subset(np.arange(9))
    assert extended.scale(asked) == good.scale(asked) == cut.scale(asked)


def test_landmarks_that_an_image_gave_do_not_calm_it(rng: np.random.Generator) -> None:
    """Or the parts that calibrate the threshold would score higher than new parts of the same kind."""
    one, two = (rng.standard_normal((30, 4)).astype(np.float32) for _ in range(2))
    marks = np.concatenate([one[:2], two[:2]])
    taught = gather([("a", one), ("b", two)]).with_landmarks(marks, [features(one), features(two)])
    bank = replace(taught, scale_exponent=1.0)
    of_others = replace(bank, landmarks=two[:2], scale_range=(0.0, 1e9))
    assert replace(bank, scale_range=(0.0, 1e9)).scale(features(one)) == of_others.scale(features(one))
    assert bank.scale_range == (min(levels := [bank.scale(features(x)) for x in (one, two)]), max(levels))
    new = features(rng.standard_normal((30, 4)))
    distance = np.sqrt(((new.patches[:, None] - marks[None]) ** 2).sum(-1)).min(1)
    assert replace(bank, scale_range=(0.0, 1e9)).scale(new) == pytest.approx(np.quantile(distance, 0.1), rel=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_a_large_bank_is_searched_quickly_and_decides_exactly(seed: int) -> None:
    """However the quick search errs: the value, its place and the good patch behind it are those of an exact search."""
    rng = np.random.default_rng(seed)

    def draw(count: int) -> npt.NDArray[np.float32]:
        return (rng.integers(0, 9, (count, 6)) * 3 + rng.standard_normal((count, 6))).astype(np.float32)

    good = gather([(f"p{i}", draw(100)) for i in range(2 * IVF_FROM // 100)])
    good = replace(good, landmarks=good.vectors[::400], scale_range=(0.5, 2.0))
    bank = PatchBank(NeighbourCache(good), DefectMemory(draw(5), 1.0, 0.5))
    asked = View(features(draw(400), (20, 20)))
    quick, exact = bank.score(asked), bank.score_without(asked, "nobody")
    assert quick.value == pytest.approx(exact.value, rel=1e-6)
    assert quick.map.argmax() == exact.map.argmax()
    assert quick.evidence == exact.evidence
    assert (quick.map >= exact.map * (1 - 1e-5)).all()
    assert (quick.map > exact.map * (1 + 1e-5)).any(), "the test's own premise: it does err"


def test_a_bank_that_is_ready_lets_no_image_wait(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """The cells of a large bank take up to seconds: whoever activates a version makes them, not its first frame."""
    bank = bank_of(gather([("a", rng.standard_normal((IVF_FROM, 4)).astype(np.float32))]))
    bank.warm_up()

    def late(*_: object) -> None:
        raise AssertionError("made while an image waits")

    monkeypatch.setattr("faiss.IndexIVFFlat", late)
    assert bank.score(View(features(np.zeros((4, 4))))).value > 0


def test_patches_of_a_region_of_interest_are_named_by_their_cells() -> None:
    cells, patches = np.array([5, 6, 9]), np.array([[0.0], [1.0], [2.0]], dtype=np.float32)
    region = Features(patches, (4, 4), cells)
    bank = PatchBankLearner().fit([GoodPart("a", View(region)), GoodPart("b", View(region))], Capacity(9, 9), 0)
    assert bank.good.names() <= {(sample, cell) for sample in "ab" for cell in (5, 6, 9)}
    seen = bank.score(View(Features(patches + 0.25, (4, 4), cells)))
    assert seen.map.shape == (4, 4)
    assert seen.evidence["at"] in ([1, 1], [1, 2], [2, 1])
    assert seen.evidence["place"] in (5, 6, 9)
