"""Work on several items at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from memory.runtime import compute_alone, thread_count

MOST = 4  # where a backend cannot compute alone, each of them has threads of its own
T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The `work` of each item, in their order, by as many threads as this process computes with, and `MOST` of them;
    each computes alone where its backend can (`memory.runtime.compute_alone`).

    Items are taken as results are asked for, and never more than there are threads ahead of that, so the memory needed
    does not grow with them. What `work` raises is raised in its item's place.
    """
    count = min(thread_count(), MOST)
    with ThreadPoolExecutor(count, initializer=compute_alone) as threads:
        begun: deque[Future[R]] = deque()
        for item in items:
            begun.append(threads.submit(work, item))
            if len(begun) > count:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
