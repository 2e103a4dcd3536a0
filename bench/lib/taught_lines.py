"""A line that was just taught some parts, as `driftline teach` does it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from daemon import build
from daemon.inference.engine import Engine
from daemon.inference.judgement import Active
from daemon.learning.teach import Taught, teach
from daemon.ledger.state import open_state
from daemon.settings.load import load
from memory.extract import Extractor

BY_TORCH = ("extractor.backend=torch", "extractor.device=cpu")  # to measure backends takes longer than to teach
T = TypeVar("T")


@dataclass(frozen=True)
class TaughtLine:
    """The engine with its active version, what was taught, and how long that took."""

    engine: Engine
    active: Active
    taught: Taught
    teach_s: float


def untracked(items: Sequence[T], _what: str) -> Sequence[T]:
    """A `Track` that shows nothing."""
    return items


@contextmanager
def taught_line(
    parts: Iterable[Path], overrides: Sequence[str], backbone: Extractor, state_dir: Path
) -> Iterator[TaughtLine]:
    """A line taught these parts, whose ledger is closed at the end."""
    settings = load(None, [*BY_TORCH, *overrides, f"state_dir={state_dir}"])
    opened = open_state(settings.state_dir)
    engine = build.engine(settings, opened, backbone)
    started = time.perf_counter()
    taught = teach(sorted(parts), engine, opened.store, "bench", untracked)
    teach_s = time.perf_counter() - started
    engine.activate(opened.store.current())
    assert engine.active is not None  # noqa: S101  # it was activated
    yield TaughtLine(engine, engine.active, taught, teach_s)
    opened.ledger.close()
