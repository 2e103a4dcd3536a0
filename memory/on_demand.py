"""A sequence whose items are made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class OnDemand(Sequence[T]):
    """For each of some numbers what `make` makes of it, anew whenever it is asked for: no item is held."""

    def __init__(self, numbers: Sequence[int], make: Callable[[int], T]) -> None:
        self._numbers = numbers
        self._make = make

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._numbers)  # by indices, an IndexError of `make` would count as the end

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> OnDemand[T]: ...
    def __getitem__(self, index: int | slice) -> T | OnDemand[T]:
        if isinstance(index, slice):
            return OnDemand(self._numbers[index], self._make)
        return self._make(self._numbers[index])
