"""The false-reject rate in force: that of config.yaml, until an engineer sets another one on the console."""

from __future__ import annotations

from daemon.learning.publish import commit_recalibration
from daemon.ledger.ledger import Ledger
from memory.errors import DriftlineError
from memory.store import Store
from memory.version import Model, Version
from policies.admission import Hold
from policies.gate import check
from policies.recalibration import recalibration

CAUSE = "threshold"


class RateRefused(DriftlineError):
    """A confirmed defect would be missed under the threshold of this rate."""


def in_force(store: Store, configured: float) -> float:
    """The rate that lessons calibrate for: the one that an engineer set last (`change`), for as long as `configured`,
    the rate of config.yaml, is what it was then. A new teach or another configured rate ends that, and a rollback
    restores the rate of the version that it goes back to."""
    versions = {version.number: version for version in store.history()}
    version = versions.get(max(versions, default=0))
    while version is not None and version.cause not in {CAUSE, "teach"}:
        behind = version.restores if version.cause == "rollback" else version.parent
        version = versions.get(behind) if behind is not None else None
    if version is None or version.cause != CAUSE or version.gate["configured_rate"] != configured:
        return configured
    return float(version.threshold["rate"])


def change(head: Model, store: Store, ledger: Ledger, rate: float, configured: float, who: str, now_ms: int) -> Version:
    """Commit a version that differs from the head only in its threshold, which is that of `rate` in (0, 1).

    Raises RateRefused where a confirmed defect that is found today would be missed, StoreError where the disk refuses,
    and StaleParent where another version came first.
    """
    proposal = recalibration(head, head.snapshot.detector, rate)
    outcome = check(proposal)
    if isinstance(outcome, Hold):
        raise RateRefused(
            expected="a threshold that still finds every confirmed defect",
            came=f"{rate:.1%} false rejects, a threshold of {proposal.threshold.value:.4f}: {outcome.reason}",
            do="allow more false rejects, or teach more good parts",
        )
    gate = {**outcome.to_json(), "configured_rate": configured}
    return commit_recalibration(store, ledger, proposal, CAUSE, who, gate, now_ms)
