"""Features have the values of float16, as numpy has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.features import Features
from memory.half import rounded, widened

SMALLER_THAN_INFINITY = 65_520.0


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_values_are_rounded_as_numpy_rounds_them(bits: list[int]) -> None:
    values = np.array(bits, dtype=np.uint32).view(np.float32)
    values = values[np.isfinite(values) & (np.abs(values) < SMALLER_THAN_INFINITY)]
    wanted = values.astype(np.float16).astype(np.float32)
    assert np.array_equal(rounded(values).view(np.uint32), wanted.view(np.uint32))


def test_every_value_of_float16_and_every_tie_between_two_is_rounded_right() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    every = np.sort(every[np.isfinite(every)])
    ties = (every[1:] + every[:-1]) / 2
    for values in (every, ties, np.nextafter(ties, np.float32(-np.inf)), np.nextafter(ties, np.float32(np.inf))):
        assert np.array_equal(rounded(values), values.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("wrong", [65_520.0, -65_520.0, 1e9, np.inf, -np.inf, np.nan])
def test_what_float16_cannot_hold_is_refused(wrong: float) -> None:
    with pytest.raises(OverflowError, match="finite values"):
        rounded(np.array([1.0, wrong], dtype=np.float32))


def test_the_values_given_stay_as_they_are() -> None:
    given = np.full((2, 3, 4), 1 / 3, dtype=np.float32)
    assert rounded(given).shape == (2, 3, 4)
    assert (given == np.float32(1 / 3)).all()


def test_every_value_goes_from_half_to_single_and_back() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    assert np.array_equal(widened(every).view(np.uint32), every.astype(np.float32).view(np.uint32))
    every.setflags(write=False)
    assert np.array_equal(widened(every).view(np.uint32), every.astype(np.float32).view(np.uint32))
    kept = Features(widened(every)[:, None], (len(every), 1)).halved
    assert np.array_equal(kept.values.view(np.uint16)[:, 0], every.view(np.uint16))
