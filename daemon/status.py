"""What a running service says of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

from daemon import clock
from daemon.inference.engine import Engine
from daemon.learning import trials
from daemon.ledger.frames import first_seen_ms
from policies.notices import notices


def status_of(engine: Engine, broker: str, trouble: Mapping[str, str]) -> dict[str, object]:
    """What `driftline status`, the console and the plant's wires read: which version judges and by what, whether it has
    scored its probe image, how the scene is, and what is away."""
    active, drift = engine.active, engine.drift()
    return {
        "heartbeat_ms": engine.clock_ms(),
        "line": engine.settings.line,
        "version": active.model.version.number if active else None,
        "probe_ms": engine.probe_ms,
        "device": str(engine.extractor.device),
        "untrained_weights": engine.extractor.untrained,
        "backend": active.scorer.extractor.backend.made if active else None,
        "backend_refused": active.scorer.refused if active else None,
        "broker": broker,
        "trouble": dict(trouble),
        "trial": _trial(engine),
        "drift": {
            "trust": drift.trust,
            "light_percent": round((math.exp(drift.log_ratio) - 1) * 100, 1),
            "cards": [asdict(card) for card in notices(drift)],
            "regime": clock.iso(first_seen_ms(engine.ledger, drift.known)) if drift.known else None,
            "rewarmed_frames": active.monitor.rewarmed_frames if active else 0,
        },
    }


def _trial(engine: Engine) -> dict[str, int] | None:
    trial, ledger = engine.trial, engine.ledger
    if trial is None:
        return None
    of, differ = engine.settings.policy.shadow_frames, len(trials.disagreements(ledger, trial.ticket))
    return {"frames": trials.seen(ledger, trial.ticket), "of": of, "disagreed": differ}
