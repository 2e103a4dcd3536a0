"""Work side by side: results in order, no more ahead than threads, and each thread alone."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, current_thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import runtime, side_by_side
from memory.runtime import computes_alone


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> int:
    """A process that computes with four threads."""
    monkeypatch.setattr(runtime, "_count", 4)
    return 4


@given(items=st.lists(st.integers()))
def test_results_come_in_the_order_of_their_items(items: list[int]) -> None:
    assert list(side_by_side.side_by_side(lambda item: -item, items)) == [-item for item in items]


def test_as_many_threads_as_the_process_computes_with_are_at_it(four: int) -> None:
    """Each waits until all of them have come."""
    together = Barrier(four, timeout=60)

    def work(_: int) -> tuple[str, bool]:
        together.wait()
        return current_thread().name, computes_alone()

    found = list(side_by_side.side_by_side(work, range(2 * four)))
    assert len({name for name, _ in found}) == four
    assert all(alone for _, alone in found)
    assert not computes_alone()


def test_items_are_not_taken_long_before_their_results_are(four: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = side_by_side.side_by_side(lambda item: item, items())
    assert next(results) == 0
    assert len(taken) == four + 1


def test_what_is_raised_is_raised_in_its_place(four: int) -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("the third")
        return item

    results = side_by_side.side_by_side(work, range(4 * four))
    assert (next(results), next(results)) == (0, 1)
    with pytest.raises(ValueError, match="the third"):
        next(results)
