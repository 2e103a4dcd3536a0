"""Work on several items at once, by as many threads as this process computes with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from memory.runtime import compute_alone, thread_count

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The `work` of each item, in their order; each thread computes alone (`memory.runtime.compute_alone`).

    Items are taken as results are asked for, and never more than there are threads ahead of that, so the memory needed
    does not grow with them. What `work` raises is raised in its item's place.
    """
    count = thread_count()
    with ThreadPoolExecutor(count, initializer=compute_alone) as threads:
        begun: deque[Future[R]] = deque()
        for item in items:
            begun.append(threads.submit(work, item))
            if len(begun) > count:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
