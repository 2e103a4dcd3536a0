"""Features of large images: what is kept of them, and what that decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.features import LATTICE, MOST_ANOMALOUS, MOST_PATCHES, Features

SIDES = st.integers(65, 140)


def large(rows: int, columns: int) -> Features:
    """Features whose value is the number of their cell."""
    return Features(np.arange(rows * columns, dtype=np.float32)[:, None], (rows, columns))


@given(SIDES, SIDES, st.data())
def test_thinned_keeps_what_it_must_and_the_lattice(rows: int, columns: int, data: st.DataObject) -> None:
    features = large(rows, columns)
    keep = np.zeros(len(features), dtype=bool)
    keep[data.draw(st.lists(st.integers(0, len(features) - 1), max_size=20))] = True
    kept = features.thinned(keep)
    assert set(np.flatnonzero(keep)) <= set(kept.cells.tolist())
    assert (kept.patches[:, 0] == kept.cells).all(), "a patch stays in its cell"
    assert (kept.whole, kept.large, kept.grid) == (rows * columns, True, (rows, columns))
    assert np.array_equal(kept.patches[kept.lattice], features.patches[features.lattice])
    assert LATTICE / 4 < features.lattice.sum() <= 1.5 * LATTICE
    assert np.array_equal(kept.thinned(np.zeros(len(kept), dtype=bool)).cells, features.cells[features.lattice])


def test_what_is_telling_are_the_most_anomalous_patches(rng: np.random.Generator) -> None:
    features = large(100, 90)
    anomaly = rng.random((100, 90)).astype(np.float32)
    kept = features.telling(anomaly)
    worst = np.argsort(anomaly.reshape(-1))[-MOST_ANOMALOUS:]
    assert set(worst.tolist()) <= set(kept.cells.tolist())
    assert len(kept) <= MOST_ANOMALOUS + features.lattice.sum()


def test_a_draw_is_as_large_as_asked_and_the_same_each_time() -> None:
    features = large(100, 90)
    first, again = (features.drawn(2_000, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first.cells, again.cells)
    assert 2_000 <= len(first) <= 2_000 + features.lattice.sum()
    assert not np.array_equal(first.cells, features.drawn(2_000, np.random.default_rng(8)).cells)


def test_a_small_image_is_kept_whole() -> None:
    features = large(64, MOST_PATCHES // 64)
    assert not features.large
    nothing = np.zeros(len(features), dtype=bool)
    assert features.thinned(nothing) is features.drawn(5, np.random.default_rng(0)) is features
    assert features.telling(np.zeros(features.grid, dtype=np.float32)) is features


def test_without_patches_the_grid_is_left() -> None:
    emptied = large(70, 80).emptied
    assert (len(emptied), emptied.grid, emptied.whole) == (0, (70, 80), 5_600)
    assert emptied.to_map(np.empty(0, dtype=np.float32)).shape == (70, 80)
    with pytest.raises(ValueError, match="expected a patch for each of 0 cells"):
        Features(np.zeros((1, 1), dtype=np.float32), (70, 80), emptied.cells)
