"""Retraining: a kind of detector that cannot learn part by part is trained again, and proposed as a lesson is."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import structlog

from daemon.clock import iso
from daemon.inference.engine import Engine
from daemon.learning.operating_point import in_force
from daemon.learning.publish import announce, gate_record
from daemon.learning.teach import TEACHING
from memory.detector import Retrained
from memory.errors import DriftlineError
from memory.learners import learner_of
from memory.store import Store
from memory.version import Model, Version, VersionDraft
from policies.admission import Hold
from policies.retraining import decide

CAUSE = "retraining"
LOOK_S = 0.2  # between two looks whether the service stops
SAID = 2_000  # characters of what a failed training said at last
log = structlog.get_logger()


class RetrainingFailed(DriftlineError):
    """The process that trains ended without a result."""


@dataclass(frozen=True)
class Retraining:
    """What training on version `base` gave."""

    base: int
    arrays: Mapping[str, npt.NDArray[Any]]


def outdated(model: Model) -> Retrained | None:
    """The learner that should train this version's detector again; None where nothing is to be gained by it."""
    learner = learner_of(model.snapshot.detector.kind)
    return learner if isinstance(learner, Retrained) and learner.outdated(model.snapshot.detector) else None


def train(engine: Engine, stopping: threading.Event) -> Retraining | None:
    """Train the active version's detector again in a process of its own (`daemon.learning.trainer`), which may take
    minutes; None where it is not `outdated`, and where the service is `stopping`. Raises RetrainingFailed."""
    model, settings = engine.active.model if engine.active else None, engine.settings
    if model is None or outdated(model) is None:
        return None
    number, seed = model.version.number, settings.memory.seed + model.version.number
    log.info("retraining", version=number, detector=model.version.detector)
    with TemporaryDirectory(dir=settings.state_dir, prefix=TEACHING) as folder:
        file, said = Path(folder) / "trained.npz", Path(folder) / "said"
        with said.open("wb") as out:
            process = started(settings.state_dir, number, seed, file, out)
        while process.poll() is None:
            if stopping.wait(LOOK_S):
                process.kill()
                process.wait()
                return None
        if process.returncode:
            raise RetrainingFailed(
                expected=f"version {number} trained again",
                came=f"exit {process.returncode}: {said.read_text(errors='replace')[-SAID:]}",
                do="see what it said; the version goes on judging",
            )
        with np.load(file) as trained:
            return Retraining(number, dict(trained))


def started(state_dir: Path, version: int, seed: int, file: Path, said: BinaryIO) -> subprocess.Popen[bytes]:
    """The process that trains this version of a line again and writes what comes of it to `file`."""
    given = (state_dir / "store", version, seed, file)
    command = [sys.executable, "-m", "daemon.learning.trainer", *map(str, given)]
    return subprocess.Popen(command, stdout=said, stderr=said)  # noqa: S603  # nothing in it comes from outside


def propose(engine: Engine, store: Store, trained: Retraining) -> Version | Hold:
    """Propose the head's detector with what training gave, which may be of an earlier version: the next version, or a
    hold with its reason, which the ledger records. Raises StoreError where the disk refuses, StaleParent where another
    process committed first."""
    head = store.current()
    learner = learner_of(head.snapshot.detector.kind)
    if not isinstance(learner, Retrained):
        return _held(engine, trained, Hold("another kind of detector was taught meanwhile"))
    try:
        detector = learner.with_retrained(head.snapshot.detector, trained.arrays)
    except (KeyError, ValueError) as error:
        return _held(engine, trained, Hold(f"it does not fit what was taught meanwhile: {error}"))
    outcome = decide(head, detector, in_force(store, engine.settings.policy.false_reject_rate))
    if isinstance(outcome, Hold):
        return _held(engine, trained, outcome)
    proposal = outcome.proposal
    version = store.commit(
        proposal.snapshot,
        VersionDraft(
            parent=head.version,
            cause=CAUSE,
            who="schedule",
            created_at=iso(engine.clock_ms()),
            extractor=head.version.extractor,
            geometry=head.version.geometry,
            threshold=proposal.threshold.to_json(),
            waiting=head.version.waiting,
            gate={**gate_record(proposal, outcome.gate_report), "trained_on": trained.base},
            feedback_through=head.version.feedback_through,
        ),
    )
    announce(engine.ledger, version, engine.clock_ms())
    engine.activate(Model(version, proposal.snapshot))
    return version


def _held(engine: Engine, trained: Retraining, hold: Hold) -> Hold:
    engine.ledger.event(engine.clock_ms(), "retraining_held", reason=hold.reason, trained_on=trained.base)
    log.warning("retraining held", reason=hold.reason, trained_on=trained.base)
    return hold
