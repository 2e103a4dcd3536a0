"""`driftline run` with a stopwatch at each step of a frame's trip.

usage: python traced_run.py FILE run -c CONFIG    (with the checkout that is measured on PYTHONPATH)

Once it has ended, FILE holds for each step the milliseconds of every call. A step that this checkout does not have is
left out, so that an older one can be measured by the same stopwatch.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Step: module, and the attribute that is called. Steps may run beside one another, and some within another.
STEPS = {
    "decode": ("daemon.inference.engine", "Engine.decode"),
    "known already?": ("daemon.ledger.ledger", "Ledger.frame"),
    "light": ("daemon.inference.sight", "Sight.levels"),
    "compensate": ("daemon.inference.sight", "Sight.look"),
    "place, and its light": ("daemon.inference.sight", "Sight.place"),
    "compensated": ("daemon.inference.sight", "Sight.lit"),
    "look, or wait for the one ahead": ("daemon.inference.looks", "Ahead.look"),
    "network and pooling": ("memory.extract", "Extractor.features"),
    "search": ("memory.patch_bank.bank", "PatchBank.score"),
    "signals": ("daemon.inference.engine", "measure"),
    "signals of a look": ("daemon.inference.looks", "measure"),
    "drift": ("drift.monitor", "Monitor.update"),
    "keep the image": ("daemon.ledger.kept", "KeptFrames.keep"),
    "record the verdict": ("daemon.ledger.ledger", "Ledger.record_verdict"),
    "publish": ("daemon.ledger.outbox", "publish"),
    "acknowledge": ("daemon.intake.redis_frames", "RedisFrames.acknowledge"),
    "judge (light to verdict on record)": ("daemon.inference.engine", "Engine.judge"),
}
took_ms: dict[str, list[float]] = defaultdict(list)


def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, timed."""

    @functools.wraps(call)
    def clocked(*args: Any, **kwargs: Any) -> Any:
        began_s = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            took_ms[name].append(1000 * (time.perf_counter() - began_s))

    return clocked


def main(file: str) -> None:
    """Put the stopwatches in, and run."""
    for name, (module, path) in STEPS.items():
        try:
            owner: Any = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        *outer, last = path.split(".")
        for each in outer:
            owner = getattr(owner, each)
        if hasattr(owner, last):
            setattr(owner, last, timed(name, getattr(owner, last)))
    atexit.register(lambda: Path(file).write_text(json.dumps(took_ms)))
    from daemon.cli.main import main as driftline

    driftline()


if __name__ == "__main__":
    target = sys.argv.pop(1)
    main(target)
