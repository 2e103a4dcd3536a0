"""Neighbours that follow a bank are those found anew."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from versions import features

from memory.calibration import CalibrationSet
from memory.features import Features, View
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.good_patches import GoodPatches, gather
from memory.patch_bank.neighbours import NeighbourCache, _may_be_nearer

PARTS = 6
REGION = np.arange(12)[None] % 5 == 0  # of a grid of one row


def parts(rng: np.random.Generator) -> CalibrationSet:
    names = tuple(f"p{i}" for i in range(PARTS))
    return CalibrationSet(names, tuple(features(rng.standard_normal((12, 3))) for _ in names))


def bank_of(calibration: CalibrationSet, rng: np.random.Generator, share: float) -> GoodPatches:
    bank = gather([(n, f.patches) for n, f in zip(calibration.samples, calibration.features, strict=True)])
    return bank.subset(np.flatnonzero(rng.random(len(bank)) < share))


def scores(cache: NeighbourCache, calibration: CalibrationSet, other: Features) -> list[tuple[bytes, bytes]]:
    every = [cache.score(f, without=s) for s, f in zip(calibration.samples, calibration.features, strict=True)]
    every += [cache.score(other), cache.score(other, mask=REGION)]
    return [(one.map.tobytes(), one.nearest.tobytes()) for one in every]


@given(seed=st.integers(0, 10_000), gone=st.floats(0, 0.9), come=st.integers(0, 3))
def test_followed_is_found_anew(seed: int, gone: float, come: int) -> None:
    """Patches leave and come, of parts that calibrate and of others: not a bit differs."""
    rng = np.random.default_rng(seed)
    calibration, other = parts(rng), features(rng.standard_normal((12, 3)))
    bank = bank_of(calibration, rng, 0.7)
    cache = NeighbourCache(bank)
    scores(cache, calibration, other)
    changed = bank.subset(np.flatnonzero(rng.random(len(bank)) >= gone) if gone < 0.9 else np.array([0]))
    new = [("p0", calibration.features[0].patches[:2]), *((f"n{i}", rng.standard_normal((9, 3))) for i in range(come))]
    known = changed.patch_index[changed.sample_index == changed.samples.index("p0")] if "p0" in changed.samples else ()
    changed = changed.joined(gather(new[1:] if {0, 1} & set(known) else new)) if len(new) > 1 else changed
    assert scores(cache.rebased(changed), calibration, other) == scores(NeighbourCache(changed), calibration, other)


@given(seed=st.integers(0, 10_000), far=st.sampled_from([0.0, 1.0, 100.0]), spread=st.sampled_from([1e-3, 1.0]))
def test_only_what_cannot_be_nearer_is_not_measured(seed: int, far: float, spread: float) -> None:
    """However much a matrix product loses of the distance between patches that lie far from 0."""
    rng = np.random.default_rng(seed)
    patches, vectors = ((far + spread * rng.standard_normal((count, 128))).astype(np.float32) for count in (40, 9))
    exact = np.sqrt(((patches[:, None].astype(np.float64) - vectors[None]) ** 2).sum(axis=2).min(axis=1))
    for share in (0.5, 0.999, 1.001, 2.0):
        distance = (share * exact).astype(np.float32)
        maybe = _may_be_nearer(patches, vectors, distance)
        assert set(np.flatnonzero(exact < distance)) <= set(maybe)
        assert far > spread or share > 0.9 or not len(maybe), "what is much nearer already is not measured"


def test_followed_is_found_anew_with_features_of_real_width(rng: np.random.Generator) -> None:
    where = rng.random((1, 256)) < 0.05

    def picture() -> Features:
        return features(rng.standard_normal((256, 128)).astype(np.float16))

    calibration, other = CalibrationSet(tuple("abcd"), tuple(picture() for _ in "abcd")), picture()
    bank = gather([(n, f.patches) for n, f in zip(calibration.samples, calibration.features, strict=True)])
    cache = NeighbourCache(bank)
    cache.score(other, mask=where)
    for name, seen in zip(calibration.samples, calibration.features, strict=True):
        cache.score(seen, without=name)
    changed = bank.subset(rng.permutation(len(bank))[:700]).joined(gather([("new", picture().patches)]))
    followed, anew = cache.rebased(changed), NeighbourCache(changed)
    for name, seen in zip(calibration.samples, calibration.features, strict=True):
        one, two = followed.score(seen, without=name), anew.score(seen, without=name)
        assert (one.map.tobytes(), one.nearest.tobytes()) == (two.map.tobytes(), two.nearest.tobytes())
    whole, part = anew.score(other), followed.score(other, mask=where)
    assert np.array_equal(part.map, np.where(where, whole.map, 0))
    assert np.array_equal(part.nearest, np.where(where.reshape(-1), whole.nearest, -1))
    assert part.value == part.map.max()


def test_patches_of_unknown_place_are_found_anew(rng: np.random.Generator) -> None:
    """As in snapshots of format 1, which do not say where a patch was."""
    calibration, other = parts(rng), features(rng.standard_normal((12, 3)))
    bank = bank_of(calibration, rng, 1.0)
    old = replace(bank, patch_index=np.full(len(bank), -1, dtype=np.int32))
    cache = NeighbourCache(old)
    scores(cache, calibration, other)
    fewer = old.subset(np.arange(3, len(old)))
    assert scores(cache.rebased(fewer), calibration, other) == scores(NeighbourCache(fewer), calibration, other)


def test_a_part_taught_anew_under_the_same_name_is_found_anew(rng: np.random.Generator) -> None:
    calibration, again, other = parts(rng), parts(rng), features(rng.standard_normal((12, 3)))
    cache = NeighbourCache(bank_of(calibration, rng, 1.0))
    scores(cache, calibration, other)
    bank = bank_of(again, rng, 1.0)
    assert scores(cache.rebased(bank), calibration, other) == scores(NeighbourCache(bank), calibration, other)


def test_a_part_s_own_patches_do_not_excuse_it(rng: np.random.Generator) -> None:
    calibration = parts(rng)
    bank = bank_of(calibration, rng, 1.0)
    cache = NeighbourCache(bank)
    assert cache.score(calibration.features[0]).value == 0
    assert cache.score(calibration.features[0], without="p0").value > 0
    only = bank.subset(np.arange(12))
    who_gave_all = NeighbourCache(only).score(calibration.features[0], without="p0")
    assert who_gave_all.value == 0, "who gave everything is not taken out"


def test_what_is_asked_of_an_image_is_forgotten_with_it(rng: np.random.Generator) -> None:
    """A lesson asks for hundreds of candidates: none may be held for as long as the bank lives."""
    bank = bank_of(parts(rng), rng, 1.0)
    cache = NeighbourCache(bank)
    candidate = features(rng.standard_normal((12, 3)))
    cache.score(candidate)
    known = weakref.ref(candidate)
    del candidate
    gc.collect()
    assert known() is None
    assert len(cache.rebased(bank)._known) == 0


def test_an_image_that_becomes_a_defect_is_followed_in_its_mask_alone(rng: np.random.Generator) -> None:
    """Where its mask is chosen all of it is scored once; to follow all of it in every lesson would cost each one."""
    bank = PatchBank.of(bank_of(parts(rng), rng, 1.0))
    defect = features(rng.standard_normal((12, 3)))
    whole = bank.score_in(View(defect), np.ones((1, 12), dtype=bool))
    assert len(bank.neighbours._known) == 0
    assert bank.score_in(View(defect), REGION).map.max() <= whole.value
    assert len(bank.neighbours._known) == 1
