"""Composition: what is missing, too many or in another place is found, where every patch of it is good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from memory.composition.detector import COMPOSITION, Composed, Scale
from memory.composition.learner import CompositionLearner
from memory.composition.memory import UnsuitableParts, remembered
from memory.composition.words import NOTHING, Words, learned
from memory.defects import Defect
from memory.detector import Bounds, Capacity, GoodPart
from memory.features import Features, View
from memory.learners import learner_of

GRID, WIDTH = (10, 10), 6
CAPACITY = Capacity(2000, 200)
LENIENT = Bounds(threshold=1e9, novelty=1e9)
NOTHING_ODD = Bounds(threshold=1.5, novelty=1.2)
GROUND, SCREW, CLIP, LABEL = range(4)
# Which thing lies where: two by two cells from the upper left one on.
USUAL = {(1, 1): SCREW, (1, 7): SCREW, (7, 1): CLIP, (7, 7): LABEL}


def shown(things: dict[tuple[int, int], int], rng: np.random.Generator) -> Features:
    """What an image of these things looks like."""
    kinds = np.full(GRID, GROUND)
    for (row, column), kind in things.items():
        kinds[row : row + 2, column : column + 2] = kind
    patches = 4.0 * np.eye(WIDTH)[kinds.reshape(-1)] + rng.normal(0, 0.1, (kinds.size, WIDTH))
    return Features(patches.astype(np.float16).astype(np.float32), GRID)


def usual(count: int, rng: np.random.Generator) -> list[GoodPart]:
    return [GoodPart(f"{number}.png", View(shown(USUAL, rng))) for number in range(count)]


def anywhere(screws: int, rng: np.random.Generator) -> Features:
    """Screws that lie anywhere, apart from one another."""
    places = [(row, column) for row in (0, 3, 6) for column in (0, 3, 6)]
    return shown({places[i]: SCREW for i in rng.permutation(len(places))[:screws]}, rng)


def fitted(goods: Sequence[GoodPart]) -> Composed:
    return CompositionLearner().fit(goods, CAPACITY, 0)


@pytest.fixture
def taught(rng: np.random.Generator) -> Composed:
    return fitted(usual(24, rng))


WRONG = {
    "missing": {place: kind for place, kind in USUAL.items() if place != (1, 7)},
    "extra": {**USUAL, (4, 4): SCREW},
    "swapped": {**USUAL, (1, 1): CLIP, (7, 1): SCREW},
    "misplaced": {**{place: kind for place, kind in USUAL.items() if place != (7, 7)}, (4, 4): LABEL},
}


@pytest.mark.parametrize("things", WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_number_or_place_is_found_there(
    taught: Composed, things: dict[tuple[int, int], int], rng: np.random.Generator
) -> None:
    good = max(taught.score(View(shown(USUAL, rng))).value for _ in range(10))
    view = View(shown(things, rng))
    score = taught.score(view)
    assert score.value > 1.4 * good
    assert taught.bank.score(view).value < 1.5 * max(taught.bank.score(good.view).value for good in usual(10, rng))
    assert score.map.max() == np.float32(score.value)
    row, column = score.evidence["at"]
    changed = {place for place in things.keys() | USUAL.keys() if things.get(place) != USUAL.get(place)}
    near = {(top + down, left + right) for top, left in changed for down in range(-2, 4) for right in range(-2, 4)}
    counted = "things" in score.evidence["words"]  # what is told of a count lies where the things of its kind do
    assert counted or (row, column) in near


def test_things_that_lie_anywhere_are_counted(rng: np.random.Generator) -> None:
    composed = fitted([GoodPart(str(number), View(anywhere(6, rng))) for number in range(30)])
    good = [composed.score(View(anywhere(6, rng))).value for _ in range(10)]
    for screws in (5, 7):
        score = composed.score(View(anywhere(screws, rng)))
        assert score.value > 1.5 * max(good)
        assert score.evidence["words"].startswith("expected 6 things like that at (")
        assert score.evidence["words"].endswith(f", found {screws}")


def test_what_is_missing_is_told_by_a_mask_of_where_it_could_lie(rng: np.random.Generator) -> None:
    composed = fitted([GoodPart(str(number), View(anywhere(6, rng))) for number in range(30)])
    view, mask = View(anywhere(5, rng)), np.zeros(GRID, dtype=bool)
    mask[:2, :2] = True
    assert composed.score_in(view, mask).value == pytest.approx(composed.score(view).value)


def test_what_varies_by_itself_is_no_fault(rng: np.random.Generator) -> None:
    """One of two things lies in a place: either is good, and the same two are wrong elsewhere."""
    goods = [
        GoodPart(str(number), View(shown({**USUAL, (4, 4): SCREW if number % 2 else CLIP}, rng)))
        for number in range(24)
    ]
    composed = fitted(goods)
    either = [composed.score(View(shown({**USUAL, (4, 4): kind}, rng))).value for kind in (SCREW, CLIP)]
    assert composed.score(View(shown({**USUAL, (4, 4): SCREW, (1, 1): CLIP}, rng))).value > 1.5 * max(either)


def test_a_score_without_a_part_is_as_if_it_had_never_been_taught(rng: np.random.Generator) -> None:
    goods = usual(12, rng)
    goods.append(GoodPart("odd", View(shown(WRONG["extra"], rng))))
    words = learned([good.view.features for good in goods], 0)
    everything = remembered(goods, words)
    for left_out in (goods[0], goods[-1]):
        others = remembered([good for good in goods if good is not left_out], words)
        found = everything.surprise(left_out.view.features, without=left_out.sample)
        expected = others.surprise(left_out.view.features)
        for one, other in zip(found.layouts, expected.layouts, strict=True):
            assert np.array_equal(one.nats, other.nats)
        assert np.array_equal(found.away, expected.away)
        assert np.array_equal(found.count, expected.count)
        assert found.parts == expected.parts
    assert everything.surprise(goods[0].view.features, without="other").parts == 13


def test_the_only_part_is_compared_with_itself(rng: np.random.Generator) -> None:
    (good,) = usual(1, rng)
    assert np.isfinite(fitted([good]).score_without(good.view, good.sample).value)


def test_a_new_composition_waits_for_a_second_part_like_it(taught: Composed, rng: np.random.Generator) -> None:
    learner, known = CompositionLearner(), GoodPart("known", View(shown(USUAL, rng)))
    extra = [GoodPart(f"extra{n}", View(shown(WRONG["extra"], rng))) for n in range(2)]
    other = GoodPart("missing", View(shown(WRONG["missing"], rng)))
    same = replace(extra[1], part="extra0")
    apart = learner.extend(taught, [extra[0], other, known], (), NOTHING_ODD, (), CAPACITY, 0)
    assert (apart.learned, apart.waiting) == (True, ("extra0", "missing")), "each is new in another way"
    label = GoodPart("label", View(shown({**USUAL, (4, 7): LABEL}, rng)))
    unlike = learner.extend(taught, [extra[0], label], (), NOTHING_ODD, (), CAPACITY, 0)
    assert unlike.waiting == ("extra0", "label"), "one thing too many in both, but not the same"
    twice = learner.extend(taught, [extra[0], same], (), NOTHING_ODD, ("extra0",), CAPACITY, 0)
    assert twice.waiting == ("extra0", "extra1"), "two images of one part are one"
    both = learner.extend(taught, extra, (), NOTHING_ODD, ("extra0",), CAPACITY, 0)
    assert (both.learned, both.waiting) == (True, ())
    assert learner.contributors(taught, both.detector) == {"extra0", "extra1"}
    again = View(shown(WRONG["extra"], rng))
    assert both.detector.score(again).value < taught.score(again).value
    defect = Defect("defect", again.features, np.ones(GRID, dtype=bool))
    assert learner.blame(taught, both.detector, [defect], 1.0) == {"extra0", "extra1"}
    assert learner.blame(taught, both.detector, [], 1.0) == set(), "nothing is missed"


def test_no_part_counts_twice_and_the_newest_are_kept(taught: Composed, rng: np.random.Generator) -> None:
    again = GoodPart(taught.samples[0], usual(1, rng)[0].view)
    unchanged = CompositionLearner().extend(taught, [again], (), LENIENT, (), CAPACITY, 0)
    assert isinstance(unchanged.detector, Composed)
    assert unchanged.detector.composition is taught.composition
    more = taught.composition.with_parts([GoodPart("more", View(shown(USUAL, rng)))])
    assert more.bounded(5).samples == (*taught.composition.samples[-4:], "more")
    assert more.bounded(25) is more


def test_who_is_full_learns_only_what_is_new(
    taught: Composed, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.composition.learner.MOST_PARTS", 24)
    extra = [GoodPart(f"extra{n}", View(shown(WRONG["extra"], rng))) for n in range(2)]
    known = GoodPart("known", View(shown(USUAL, rng)))
    extension = CompositionLearner().extend(taught, [known, *extra], (), NOTHING_ODD, (), CAPACITY, 0)
    assert isinstance(extension.detector, Composed)
    assert extension.detector.composition.samples[-2:] == ("extra0", "extra1")
    assert len(extension.detector.composition.samples) == 24


def test_it_is_prepared_before_the_first_frame(taught: Composed) -> None:
    again = learner_of(COMPOSITION).load(taught.arrays(), taught.samples)
    again.warm_up()
    assert isinstance(again, Composed)
    assert {"_near", "_at"} <= vars(again.composition).keys()
    assert {"kinds", "groups"} <= vars(again.composition.words).keys()


def test_it_comes_back_from_disk_bit_for_bit(taught: Composed, rng: np.random.Generator) -> None:
    view = View(shown(WRONG["swapped"], rng))
    arrays = taught.arrays()
    again = learner_of(COMPOSITION).load(arrays, taught.samples)
    assert np.array_equal(again.score(view).map, taught.score(view).map)
    assert again.score(view).evidence == taught.score(view).evidence
    with pytest.raises(ValueError, match="for 24 parts"):
        learner_of(COMPOSITION).load({**arrays, "maps": taught.composition.maps[:-1]}, taught.samples)
    with pytest.raises(ValueError, match="parts that have no name"):
        learner_of(COMPOSITION).load(arrays, taught.samples[:-1])


def test_a_mask_looks_at_its_places_alone(taught: Composed, rng: np.random.Generator) -> None:
    view, mask = View(shown(WRONG["extra"], rng)), np.zeros(GRID, dtype=bool)
    mask[4:6, 4:6] = True
    found = taught.score_in(view, mask)
    assert found.value > 1.4
    assert not found.map[~mask].any()
    assert taught.score_in(view, np.zeros(GRID, dtype=bool)).value == 0


def test_a_region_is_composed_of_what_lies_in_it(rng: np.random.Generator) -> None:
    inside = np.flatnonzero(np.arange(100) % 10 < 5)
    goods = usual(12, rng)
    narrow = [
        replace(good, view=View(Features(good.view.features.patches[inside], GRID, inside.astype(np.int64))))
        for good in goods
    ]
    score = fitted(narrow).score(narrow[0].view)
    assert not score.map[:, 5:].any()
    assert (remembered(narrow, learned([good.view.features for good in narrow], 0)).maps[:, :, 5:] == NOTHING).all()


def test_parts_of_another_grid_are_refused(rng: np.random.Generator) -> None:
    other = GoodPart("other", View(Features(np.zeros((4, WIDTH), np.float32), (2, 2))))
    with pytest.raises(UnsuitableParts, match="of other"):
        fitted([*usual(4, rng), other])


@pytest.mark.parametrize("patches", [np.zeros((100, WIDTH)), np.ones((4, WIDTH))])
def test_there_are_words_of_any_patches(patches: npt.NDArray[np.float64]) -> None:
    side = int(len(patches) ** 0.5)
    features = Features(patches.astype(np.float32), (side, side))
    words = learned([features], 0)
    assert words.counts(words.read(features)).shape == (len(words.groups),)
    assert np.array_equal(words.centres, learned([features], 0).centres)


def test_a_group_is_a_thing_seen_from_any_side() -> None:
    """Words 0 and 1 are near one another: together they are one thing, apart two."""
    words = Words(np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]], dtype=np.float32))
    assert words.groups.tolist() == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [True, True, False],
    ]
    read = np.array([[0, 1, 2, 0], [0, 1, 2, 2]], dtype=np.int16)
    assert words.counts(read).tolist() == [1, 1, 1, 1]
    assert words.things(read, 3).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]], "a single cell is no thing"


def test_parts_that_are_all_alike_do_not_make_the_next_one_infinitely_odd() -> None:
    flat = Scale.of([2.0] * 10, 0.1)
    assert flat.scaled(2.0) == 1
    assert flat.scaled(2.2) == pytest.approx(3.0)
    assert flat.value(3.0) == pytest.approx(2.2)
