"""Contrasts that follow a bank are those found anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from conftest import features
from hypothesis import given
from hypothesis import strategies as st

from memory.bank import Bank, gather, joined, subset
from memory.contrasts import NeighbourCache
from memory.features import Features
from memory.version import CalibrationSet

PARTS = 6
REGION = np.arange(12)[None] % 5 == 0  # of a grid of one row


def parts(rng: np.random.Generator) -> CalibrationSet:
    names = tuple(f"p{i}" for i in range(PARTS))
    return CalibrationSet(names, tuple(features(rng.standard_normal((12, 3))) for _ in names))


def bank_of(held: CalibrationSet, rng: np.random.Generator, share: float) -> Bank:
    bank = gather([(n, f.patches) for n, f in zip(held.samples, held.features, strict=True)])
    return subset(bank, np.flatnonzero(rng.random(len(bank)) < share))


def scores(contrasts: NeighbourCache, held: CalibrationSet, other: Features) -> list[tuple[bytes, bytes]]:
    every = [contrasts.score(f, without=s) for s, f in zip(held.samples, held.features, strict=True)]
    every += [contrasts.score(other), contrasts.score(other, region=REGION)]
    return [(one.map.tobytes(), one.nearest.tobytes()) for one in every]


@given(seed=st.integers(0, 10_000), gone=st.floats(0, 0.9), come=st.integers(0, 3))
def test_followed_is_found_anew(seed: int, gone: float, come: int) -> None:
    """Patches leave and come, of parts that calibrate and of others: not a bit differs."""
    rng = np.random.default_rng(seed)
    held, other = parts(rng), features(rng.standard_normal((12, 3)))
    bank = bank_of(held, rng, 0.7)
    contrasts = NeighbourCache(bank)
    scores(contrasts, held, other)
    changed = subset(bank, np.flatnonzero(rng.random(len(bank)) >= gone) if gone < 0.9 else np.array([0]))
    new = [("p0", held.features[0].patches[:2]), *((f"n{i}", rng.standard_normal((9, 3))) for i in range(come))]
    known = changed.patch_index[changed.sample_index == changed.samples.index("p0")] if "p0" in changed.samples else ()
    changed = joined(changed, gather(new[1:] if {0, 1} & set(known) else new)) if len(new) > 1 else changed
    assert scores(contrasts.rebased(changed), held, other) == scores(NeighbourCache(changed), held, other)


def test_followed_is_found_anew_with_features_of_real_width() -> None:
    rng = np.random.default_rng(4)

    where = rng.random((1, 256)) < 0.05

    def picture() -> Features:
        return features(rng.standard_normal((256, 128)).astype(np.float16))

    held, other = CalibrationSet(tuple("abcd"), tuple(picture() for _ in "abcd")), picture()
    bank = gather([(n, f.patches) for n, f in zip(held.samples, held.features, strict=True)])
    contrasts = NeighbourCache(bank)
    contrasts.score(other, region=where)
    for name, seen in zip(held.samples, held.features, strict=True):
        contrasts.score(seen, without=name)
    changed = joined(subset(bank, rng.permutation(len(bank))[:700]), gather([("new", picture().patches)]))
    followed, anew = contrasts.rebased(changed), NeighbourCache(changed)
    for name, seen in zip(held.samples, held.features, strict=True):
        one, two = followed.score(seen, without=name), anew.score(seen, without=name)
        assert (one.map.tobytes(), one.nearest.tobytes()) == (two.map.tobytes(), two.nearest.tobytes())
    whole, part = anew.score(other), followed.score(other, region=where)
    assert np.array_equal(part.map, np.where(where, whole.map, 0))
    assert np.array_equal(part.nearest, np.where(where.reshape(-1), whole.nearest, -1))
    assert part.value == part.map.max()


def test_patches_of_unknown_place_are_found_anew() -> None:
    """As in snapshots of format 1, which do not say where a patch was."""
    rng = np.random.default_rng(1)
    held, other = parts(rng), features(rng.standard_normal((12, 3)))
    bank = bank_of(held, rng, 1.0)
    old = replace(bank, patch_index=np.full(len(bank), -1, dtype=np.int32))
    contrasts = NeighbourCache(old)
    scores(contrasts, held, other)
    fewer = subset(old, np.arange(3, len(old)))
    assert scores(contrasts.rebased(fewer), held, other) == scores(NeighbourCache(fewer), held, other)


def test_a_part_taught_anew_under_the_same_name_is_found_anew() -> None:
    rng = np.random.default_rng(2)
    held, again, other = parts(rng), parts(rng), features(rng.standard_normal((12, 3)))
    contrasts = NeighbourCache(bank_of(held, rng, 1.0))
    scores(contrasts, held, other)
    bank = bank_of(again, rng, 1.0)
    assert scores(contrasts.rebased(bank), held, other) == scores(NeighbourCache(bank), held, other)


def test_a_part_s_own_patches_do_not_excuse_it() -> None:
    rng = np.random.default_rng(3)
    held = parts(rng)
    bank = bank_of(held, rng, 1.0)
    contrasts = NeighbourCache(bank)
    assert contrasts.score(held.features[0]).value == 0
    assert contrasts.score(held.features[0], without="p0").value > 0
    only = NeighbourCache(subset(bank, np.arange(12)))
    assert only.score(held.features[0], without="p0").value == 0, "who gave everything is not taken out"
