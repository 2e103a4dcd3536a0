"""Jobs that take longer than a request: one at a time, in a thread of its own, with progress."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import structlog

from daemon.languages.speaking import said
from memory.errors import DriftlineError

STOP_S = 20.0
T = TypeVar("T")
log = structlog.get_logger()


class Busy(DriftlineError):
    """Another job is under way."""


class Stopped(Exception):
    """The console is stopping, and the job with it; nothing was changed. No DriftlineError, which a job may take for an
    answer and go on."""


@dataclass
class Work:
    """A job: what it does, for whom, its progress, and what it has `found`; pages read it by these names."""

    what: str
    who: str
    step: str = ""
    done: int = 0
    of: int = 0
    ended: bool = False
    error: str | None = None
    found: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False

    def told(self) -> dict[str, Any]:
        """The job as JSON, its words for the reader."""
        return asdict(self) | {"step": said(self.step), "error": said(self.error) if self.error else None}

    def track(self, items: Sequence[T], step: str) -> Iterator[T]:
        """Iterate over `items` and record the progress. Raises Stopped where the console stops meanwhile."""
        self.step, self.done, self.of = step, 0, len(items)
        for item in items:
            if self.stopped:
                raise Stopped("the console is being stopped; begin again")
            yield item
            self.done += 1


class Jobs:
    """Runs one job at a time. `newest` is the one under way or last done."""

    def __init__(self) -> None:
        self.newest: Work | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self, what: str, who: str, run: Callable[[Work], None]) -> None:
        """Start a job; an exception that it raises becomes its `error`. Raises Busy while another is under way."""
        with self._starting:
            if self.newest and not self.newest.ended:
                raise Busy(
                    expected="one piece of work at a time",
                    came=f"{self.newest.who} is at it: {self.newest.what}",
                    do="wait until it has ended",
                )
            self.newest = work = Work(what, who)
            spoken = contextvars.copy_context()  # what is found is told in the language of whoever asked
            self._thread = threading.Thread(target=spoken.run, args=(_finish, work, run), name=what, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the job under way at its next step, and wait for that: torch's threads must not outlive ours."""
        if self.newest and self._thread:
            self.newest.stopped = True
            self._thread.join(STOP_S)


def _finish(work: Work, run: Callable[[Work], None]) -> None:
    try:
        run(work)
    except (DriftlineError, Stopped) as error:
        work.error = str(error)
    except Exception as error:  # the console goes on; people see what went wrong
        log.exception("work failed", what=work.what)
        work.error = f"{type(error).__name__}: {error}"
    finally:
        work.ended = True
