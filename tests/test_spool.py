"""Taught parts lie on disk while they are taught, and no more of them are held than are worked on."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakSet, ref

import numpy as np
import pytest

from daemon.learning.spool import Spool
from drift.reference import fit_reference
from memory.detector import Capacity, GoodPart
from memory.errors import StoreError
from memory.features import Features, Image, View
from memory.on_demand import OnDemand
from memory.patch_bank.candidates import candidates
from memory.patch_bank.learner import PatchBankLearner
from memory.tiles import one_tile, tiling

PARTS, AT_ONCE = 30, 10


def patches(rng: np.random.Generator, count: int = 16) -> np.ndarray:
    return rng.standard_normal((count, 4)).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("region", [None, np.arange(16).reshape(4, 4) % 3 == 0])
def test_parts_come_back_as_they_were(tmp_path: Path, rng: np.random.Generator, region: np.ndarray | None) -> None:
    tiles = one_tile((32, 32), (4, 4)) if region is None else tiling((32, 32), (32, 32), 8, 8, region)
    spool = Spool(tiles, tmp_path)
    given = []
    for _ in range(3):
        image = rng.integers(0, 255, (32, 32, 6), dtype=np.uint8)
        given.append((image, Features(patches(rng, len(tiles.cells)), tiles.grid, tiles.cells)))
        spool.add(*given[-1])
    for (image, features), again, read in zip(given, spool.images, spool.features, strict=True):
        assert np.array_equal(image, again)
        assert np.array_equal(features.patches, read.patches)
        assert np.array_equal(features.cells, read.cells)
    assert np.array_equal(spool.images[-1], given[-1][0])
    assert [len(each) for each in (spool.images[1:], spool.features)] == [2, 3]


def test_kept_features_need_half_of_the_memory_and_lose_nothing(rng: np.random.Generator) -> None:
    live = Features(patches(rng), (4, 4))
    kept = live.halved
    assert kept.values.nbytes * 2 == live.values.nbytes
    assert np.array_equal(kept.patches, live.patches)
    assert kept.halved is kept
    assert live.patches is live.values


def test_candidates_are_the_patches_part_after_part_then_the_turned_ones(rng: np.random.Generator) -> None:
    plain, turned = (Features(patches(rng), (4, 4)) for _ in range(2))
    region = Features(patches(rng, 2), (4, 4), np.array([3, 7]))
    goods = [GoodPart("a", View(plain), turned=(turned, turned)), GoodPart("b", View(region))]
    found = candidates(goods)
    wanted = np.concatenate([plain.patches, region.patches, turned.patches, turned.patches])
    assert np.array_equal(found.vectors.astype(np.float32), wanted)
    assert found.patch_index.tolist() == [*range(16), 3, 7, *range(16, 48)]
    assert found.lattice.sum() == 18
    some = found.subset(np.array([40, 17, 3]))
    assert np.array_equal(some.vectors, wanted[[3, 17, 40]])
    assert [some.sample_of(row) for row in range(3)] == ["a", "b", "a"]
    assert found.subset(np.array([16])).samples == ("b",)


def test_a_bank_is_taught_of_parts_of_which_few_are_held(rng: np.random.Generator) -> None:
    made = [patches(rng) for _ in range(PARTS)]
    alive: WeakSet[Features] = WeakSet()

    def part(i: int) -> GoodPart:
        features = Features(made[i], (4, 4))
        alive.add(features)
        assert len(alive) <= AT_ONCE
        return GoodPart(str(i), View(features))

    goods = OnDemand(range(PARTS), part)
    bank = PatchBankLearner().fit(goods, Capacity(40, 1), seed=0)
    held = PatchBankLearner().fit(
        [GoodPart(str(i), View(Features(each, (4, 4)))) for i, each in enumerate(made)], Capacity(40, 1), 0
    )
    assert np.array_equal(bank.good.vectors, held.good.vectors)
    assert np.array_equal(bank.good.landmarks, held.good.landmarks)


def test_a_reference_is_fitted_to_images_of_which_few_are_held(rng: np.random.Generator) -> None:
    made = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(PARTS)]
    features = [Features(patches(rng, 64), (8, 8)) for _ in range(PARTS)]
    given: list[ref[Image]] = []

    def image(i: int) -> Image:
        copy = made[i].copy()
        given.append(ref(copy))
        assert sum(each() is not None for each in given) <= AT_ONCE
        return copy

    fitted = fit_reference(OnDemand(range(PARTS), image), features, lambda _: features[0], 0)
    held = fit_reference(made, features, lambda _: features[0], 0)
    assert np.array_equal(fitted.mean, held.mean)
    assert np.array_equal(fitted.limits, held.limits)


def test_a_mistake_while_a_part_is_made_is_not_the_end_of_them() -> None:
    def make(i: int) -> int:
        return [0, 1][i]

    with pytest.raises(IndexError):
        list(OnDemand(range(5), make))


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "images").symlink_to("/dev/full")
    spool = Spool(one_tile((32, 32), (4, 4)), tmp_path)
    with pytest.raises(StoreError, match="free disk space"):
        spool.add(np.zeros((32, 32, 3), dtype=np.uint8), Features(patches(rng), (4, 4)))


def test_a_part_without_its_patches_holds_none(rng: np.random.Generator) -> None:
    assert Features(patches(rng), (4, 4)).emptied.values.base is None


def test_what_was_written_and_is_gone_is_told(tmp_path: Path, rng: np.random.Generator) -> None:
    spool = Spool(one_tile((32, 32), (4, 4)), tmp_path)
    spool.add(np.zeros((32, 32, 3), dtype=np.uint8), Features(patches(rng), (4, 4)))
    (tmp_path / "images").write_bytes(b"short")
    (tmp_path / "patches").unlink()
    for sequence in (spool.images, spool.features):
        with pytest.raises(StoreError):
            sequence[0]
