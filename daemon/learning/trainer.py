"""The process that trains a version's detector again, below everything else that the PC does.

usage: python -m daemon.learning.trainer STORE VERSION SEED FILE

It writes the arrays of `memory.detector.Retrained.retrain` to FILE (.npz), and ends with the process that started it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

import numpy as np

from memory.detector import Retrained
from memory.learners import learner_of
from memory.runtime import use_threads
from memory.store import Store

LOWEST, FIRST_KILLED = 19, "1000"
END_WITH_PARENT = 1  # of prctl: PR_SET_PDEATHSIG


def below_all_others() -> None:
    """Give this process only what no other wants of the processors, end it with its parent, and let it be the first to
    be killed where memory runs out."""
    # A process that stands still takes no other signal.
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    Path("/proc/self/oom_score_adj").write_text(FIRST_KILLED, encoding="ascii")
    os.nice(LOWEST)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main(store: str, version: str, seed: str, file: str) -> None:
    """Train, and write what comes of it."""
    below_all_others()
    use_threads(1)
    opened = Store(Path(store))
    model = opened.load(opened.version(int(version)))
    learner = learner_of(model.snapshot.detector.kind)
    assert isinstance(learner, Retrained)  # noqa: S101  # who starts this process has asked
    np.savez(file, **learner.retrain(model.snapshot.detector, int(seed)))  # type: ignore[arg-type]  # names of arrays


if __name__ == "__main__":
    main(*sys.argv[1:])
