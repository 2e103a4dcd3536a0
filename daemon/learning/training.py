"""The process that trains a detector again, seen from the service: it starts it, lets it stand still and ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from daemon.learning.teach import TEACHING
from memory.errors import DriftlineError

LOOK_S, STOPPED_S = 0.2, 2.0  # between two looks whether the service stops; within which it does where it will
LONG_S = 1800.0  # after which it is told that a training has not ended
SAID = 2_000  # characters of what a failed training said at last
log = structlog.get_logger()


class RetrainingFailed(DriftlineError):
    """The process that trains ended without a result."""


class Training:
    """The process of `daemon.learning.trainer`, of which a service has one at a time. One thread calls `run`, another
    one `paused`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, state_dir: Path, version: int, seed: int, stopping: threading.Event
    ) -> Mapping[str, npt.NDArray[Any]] | None:
        """The arrays of `memory.detector.Retrained.retrain` for this version of the line in `state_dir`, after minutes;
        None where the service is `stopping`. Raises RetrainingFailed."""
        with TemporaryDirectory(dir=state_dir, prefix=TEACHING) as folder:
            file, said = Path(folder) / "trained.npz", Path(folder) / "said"
            given = (state_dir / "store", version, seed, file)
            command = [sys.executable, "-P", "-m", "daemon.learning.trainer", *map(str, given)]
            with said.open("wb") as out:
                # Ctrl-C is for the service, which ends it; nothing in the command comes from outside.
                process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)  # noqa: S603
            self._process = process
            try:
                _wait(process, stopping)
            finally:
                self._process = None
                process.kill()
            # A supervisor may stop the process before it stops the service.
            if process.wait() < 0 and stopping.wait(STOPPED_S):
                return None
            if process.returncode:
                raise RetrainingFailed(
                    expected=f"version {version} trained again",
                    came=f"exit {process.returncode}: {said.read_text(errors='replace')[-SAID:]}",
                    do="see what it said; the version goes on judging",
                )
            with np.load(file) as trained:
                return dict(trained)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it the process stands still, so that a frame has the processors and their caches to itself. One that
        starts within it stands still from the next time on."""
        process = self._process
        if process is None:
            yield
            return
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)


def _wait(process: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    """Until the process has ended or the service stops."""
    looks = 0
    while process.poll() is None and not stopping.wait(LOOK_S):
        looks += 1
        if looks == round(LONG_S / LOOK_S):
            log.warning("retraining has not ended: frames leave it no time", minutes=round(LONG_S / 60))
