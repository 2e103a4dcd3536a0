"""Whitening: a step counts by how seldom the taught patches take it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from versions import features

from memory.detector import Capacity, GoodPart
from memory.features import Patches, View
from memory.patch_bank.bank import PatchBank, load
from memory.patch_bank.learner import PatchBankLearner
from memory.patch_bank.whitening import SHRINKING_PARTS, Whitening


def patches(seed: int, count: int = 200, width: int = 6) -> Patches:
    """Patches that vary along some directions far more than along others."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((count, width)) * np.geomspace(0.01, 3, width)
    turned = np.linalg.qr(rng.standard_normal((width, width)))[0]
    seen: Patches = (mixed @ turned + rng.standard_normal(width)).astype(np.float16).astype(np.float32)
    return seen


@given(st.integers(0, 10_000))
def test_distances_are_mahalanobis_distances_of_the_taught_patches(seed: int) -> None:
    taught = patches(seed)
    whitening = Whitening.of(np.split(taught, 20))
    covariance = np.cov(taught.T.astype(np.float64), bias=True)
    variance = np.trace(covariance) / len(covariance)
    shrinkage = SHRINKING_PARTS / 20
    inverse = np.linalg.inv((1 - shrinkage) * covariance + shrinkage * variance * np.eye(len(covariance)))
    seen = whitening(taught)
    for one, other in ((0, 1), (2, 3), (4, 5)):
        wanted = np.sqrt(variance) * mahalanobis(taught[one], taught[other], inverse)
        assert np.linalg.norm(seen[one] - seen[other]) == pytest.approx(wanted, rel=0.01, abs=0.01)


def test_a_patch_is_itself_to_the_bit_in_whatever_batch() -> None:
    taught = patches(1, 3_000, 64)
    whitening = Whitening.of([taught])
    whole = whitening(taught)
    assert np.array_equal(whole.astype(np.float16), whole)
    for first, last in ((0, 1), (7, 300), (2_999, 3_000)):
        assert np.array_equal(whitening(taught[first:last]), whole[first:last])


def test_two_parts_tell_too_little_to_whiten_by() -> None:
    taught = patches(5)
    seen = Whitening.of([taught[:100], taught[100:]])(taught)
    assert np.allclose(seen, taught - taught.mean(axis=0), atol=0.01)


def test_patches_that_are_all_alike_stay_so() -> None:
    alike = np.full((10, 4), 2.0, dtype=np.float32)
    assert (Whitening.of([alike])(alike) == 0).all()


def taught_bank(seed: int) -> PatchBank:
    goods = [GoodPart(str(i), View(features(patches(seed + i, 16)))) for i in range(4)]
    return PatchBankLearner().fit(goods, Capacity(40, 8), 0)


def test_what_differs_where_taught_parts_never_do_stands_out() -> None:
    """A seldom step and a frequent one of the same length."""
    calm = patches(3, 400)
    bank = PatchBankLearner().fit(
        [GoodPart(str(i), View(features(calm[16 * i :][:16]))) for i in range(25)], Capacity(400, 8), 0
    )
    size, axes = np.linalg.eigh(np.cov(calm.T))
    seldom, often = (calm[:16].copy() for _ in range(2))
    seldom[5] += 2 * axes[:, 0]
    often[5] += 2 * axes[:, -1]
    assert size[0] < size[-1] / 100
    scores = [bank.score(View(features(each.astype(np.float16).astype(np.float32)))).value for each in (seldom, often)]
    assert scores[0] > 3 * scores[1]


def test_a_stored_bank_sees_as_it_did_and_older_driftlines_do_not_read_it() -> None:
    bank = taught_bank(10)
    arrays = dict(bank.arrays())
    assert "vectors" not in arrays
    again = load(arrays, bank.samples)
    view = View(features(patches(99, 16)))
    assert np.array_equal(again.score(view).map, bank.score(view).map)
    assert np.array_equal(again.good.vectors, bank.good.vectors)
    own = View(features(patches(10, 16)))
    assert bank.score(own).map.min() == 0, "own patches are at distance 0"
