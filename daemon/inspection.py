"""Proof that the line still inspects: probe parts with drawn defects, and a watch on a line that rejects nothing."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import structlog

from daemon.inference.probe_part import probe_part
from daemon.ledger.frames import passed_in_a_row
from daemon.ledger.history import is_quiet
from daemon.ledger.ledger import Ledger
from daemon.service import Service
from policies.silence import quiet_after

PROBE_PART = "probe_part"  # the name of its report in the ledger
log = structlog.get_logger()


def inspect(service: Service) -> None:
    """Judge a probe part, and look whether anything was rejected lately. A probe part that passes is trouble, and the
    line not ready, until one is caught; where none can be made, nothing is known, and what was stands."""
    engine, active = service.engine, service.engine.active
    if active is None:
        return
    try:
        probed = probe_part(engine, active, np.random.default_rng())
    except Exception as error:  # whatever a device raises: then no part is judged well
        log.exception("the probe part could not be judged")
        service.lost(service.inspection, f"a probe part could not be judged: {type(error).__name__}: {error}")
        probed = None
    if probed is not None:
        engine.ledger.set_status(PROBE_PART, {"at_ms": engine.clock_ms(), **asdict(probed)})
        if probed.caught:
            service.regained(service.inspection)
        else:
            score = f"score {probed.score:.3f} within threshold {probed.threshold:.3f}"
            version = active.model.version.number
            service.lost(service.inspection, f"a part with a drawn defect passed by version {version}: {score}")
    tell_silence(engine.ledger, engine.settings.policy.false_reject_rate, engine.clock_ms())


def tell_silence(ledger: Ledger, false_reject_rate: float, now_ms: int) -> None:
    """Record, once for each silence, that the line has rejected nothing for long."""
    most = quiet_after(false_reject_rate)
    quiet = passed_in_a_row(ledger, most) == most
    known = is_quiet(ledger)
    if quiet and not known:
        log.warning("nothing was rejected", frames=most, do="show the line a known defect")
        ledger.event(now_ms, "line_quiet", frames=most)
    elif known and not quiet:
        ledger.event(now_ms, "line_quiet_over")
