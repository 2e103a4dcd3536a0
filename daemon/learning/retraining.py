"""Retraining: a kind of detector that cannot learn part by part is trained again, and proposed as a lesson is."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import structlog

from daemon.inference.engine import Engine
from daemon.learning import trials
from daemon.learning.lesson import current_base
from daemon.learning.operating_point import in_force
from daemon.learning.publish import commit_recalibration
from daemon.learning.training import Training
from memory.detector import Retrained
from memory.learners import learner_of
from memory.store import Store
from memory.version import Model, Version
from policies.admission import Hold
from policies.gate import check
from policies.recalibration import recalibration

CAUSE = "retraining"
ROLLBACK = "rollback"
OTHERWISE = {"teach", ROLLBACK, "revocation"}  # versions that do not go on from the one before
log = structlog.get_logger()


@dataclass(frozen=True)
class Retraining:
    """What training on version `base` gave."""

    base: int
    arrays: Mapping[str, npt.NDArray[Any]]


def due(engine: Engine) -> Model | None:
    """The active version where its detector should be trained again: where it holds what it was not trained on.

    Not after a rollback, until something is learned or taught: what was undone would come back unasked. Not while a
    lesson stands trial, which a new version would end, and not where the gate has held what training this very version
    gives.
    """
    model = engine.active.model if engine.active else None
    if model is None or model.version.cause == ROLLBACK or trials.under_way(engine.ledger, model.version.number):
        return None
    learner = learner_of(model.snapshot.detector.kind)
    held = (engine.ledger.get_status(CAUSE) or {}).get("held")
    if not isinstance(learner, Retrained) or held == model.version.number:
        return None
    return model if learner.outdated(model.snapshot.detector) else None


def train(engine: Engine, training: Training, stopping: threading.Event) -> Retraining | None:
    """Train the active version's detector again in a process of its own, which may take minutes; None where it is not
    `due`, and where the service is `stopping`. Raises RetrainingFailed."""
    model, settings = due(engine), engine.settings
    if model is None:
        return None
    number, seed = model.version.number, settings.memory.seed + model.version.number
    log.info("retraining", version=number, detector=model.version.detector)
    arrays = training.run(settings.state_dir, number, seed, stopping)
    return Retraining(number, arrays) if arrays is not None else None


def propose(engine: Engine, store: Store, trained: Retraining) -> Version | Hold:
    """Propose the head's detector with what training gave, which may be of a version that lessons have gone on from:
    the next version, or a hold with its reason, which the ledger records. Raises StoreError where the disk refuses,
    StaleParent where another process committed first."""
    head = current_base(engine, store)
    learner = learner_of(head.snapshot.detector.kind)
    if not isinstance(learner, Retrained) or not _goes_on(store, head.version, trained.base):
        return _held(engine, head, trained, "something else was taught, brought back or revoked meanwhile")
    try:
        detector = learner.with_retrained(head.snapshot.detector, trained.arrays)
    except (KeyError, ValueError) as error:
        return _held(engine, head, trained, f"it cannot be used: {error}")
    proposal = recalibration(head, detector, in_force(store, engine.settings.policy.false_reject_rate))
    outcome = check(proposal)
    if isinstance(outcome, Hold):
        return _held(engine, head, trained, outcome.reason)
    gate = {**outcome.to_json(), "trained_on": trained.base}
    version = commit_recalibration(store, engine.ledger, proposal, CAUSE, "schedule", gate, engine.clock_ms())
    engine.activate(Model(version, proposal.snapshot))
    return version


def _goes_on(store: Store, head: Version, base: int) -> bool:
    """Whether everything since version `base` was learned from there on."""
    versions = {version.number: version for version in store.history()}
    version: Version | None = head
    while version is not None and version.number > base and version.cause not in OTHERWISE:
        version = versions.get(version.parent) if version.parent is not None else None
    return version is not None and version.number == base


def _held(engine: Engine, head: Model, trained: Retraining, reason: str) -> Hold:
    hold = Hold(f"what was trained again on version {trained.base} is not taken: {reason}")
    if head.version.number == trained.base:
        engine.ledger.set_status(CAUSE, {"held": trained.base})
    engine.ledger.event(engine.clock_ms(), "hold", reason=hold.reason, blamed=[])
    log.warning("retraining held", reason=hold.reason)
    return hold
