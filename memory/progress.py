"""Progress of long computations, told to whoever follows them, as a log is: it changes nothing that is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
Follower = Callable[[Sequence[Any], str], Iterable[Any]]  # gives the items on, and tells of what they are steps


def _nobody(items: Sequence[Any], _: str) -> Iterable[Any]:
    return items


_follower: ContextVar[Follower] = ContextVar("follower", default=_nobody)


@contextmanager
def followed_by(follower: Follower) -> Iterator[None]:
    """Tell this follower of the `steps` that this thread takes meanwhile."""
    before = _follower.set(follower)
    try:
        yield
    finally:
        _follower.reset(before)


def steps(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, as steps of `what`."""
    return _follower.get()(items, what)
