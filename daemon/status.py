"""A running service's report on itself, and the one rule by which a line is ready."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import structlog

from daemon import clock
from daemon.inference.engine import Engine
from daemon.inference.judgement import Active
from daemon.intake.onto_canvas import Decoded
from daemon.learning import trials
from daemon.ledger.frames import first_seen_ms
from policies.notices import notices

log = structlog.get_logger()


@dataclass(frozen=True)
class ServiceStatus:
    """The status of a line's service for other processes: whether it is `running`, with which `version`, whether that
    has scored a probe image, how far the scene is trusted, and what is away, in words by resource."""

    running: bool = False
    version: int | None = None
    probed: bool = False
    trust: str = "unknown"
    troubles: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether a frame that comes now is judged: the service runs, with a version that has scored a probe image,
        Redis, disk and camera are there, and no probe part was passed."""
        return self.running and self.version is not None and self.probed and not self.troubles


def service_status(reported: Mapping[str, Any], *, redis_answers: bool) -> ServiceStatus:
    """The status of a line's service by what it last reported, as `Ledger.service` reads it, and by whether Redis
    answers the reader. A disk or a camera is away where the service says so."""
    away = set(reported.get("trouble") or ())
    if not redis_answers:
        away.add("redis")
    return ServiceStatus(
        running=reported["running"],
        version=reported.get("version"),
        probed=reported.get("probe_ms") is not None,
        trust=(reported.get("drift") or {}).get("trust", "unknown"),
        troubles={name: f"{name} is away" for name in sorted(away)},
    )


def status_report(engine: Engine, probe_ms: float | None, broker: str, trouble: Mapping[str, str]) -> dict[str, object]:
    """The report of a service for `driftline status`, the console and the plant's connectors: which version judges by
    which backend, how long its probe image took (`probe`), the state of drift, and what is away."""
    active, drift = engine.active, engine.drift()
    return {
        "heartbeat_ms": engine.clock_ms(),
        "moment": asdict(clock.moment()),
        "line": engine.settings.line,
        "version": active.model.version.number if active else None,
        "probe_ms": probe_ms,
        "device": active.scorer.extractor.device if active else None,
        "untrained_weights": engine.extractor.untrained,
        "backend": active.scorer.extractor.backend.description if active else None,
        "backend_refused": active.scorer.refused if active else None,
        "backend_choice": asdict(choice) if active and (choice := active.scorer.choice) else None,
        "broker": broker,
        "trouble": dict(trouble),
        "left_out": engine.pace.left_out,
        "probe_part": engine.ledger.get_status("probe_part"),
        "trial": _trial(engine),
        "drift": {
            "trust": drift.trust,
            "light_percent": round((math.exp(drift.log_ratio) - 1) * 100, 1) + 0.0,  # never -0.0
            "cards": [asdict(notice) for notice in notices(drift)],
            "regime": clock.iso(first_seen_ms(engine.ledger, drift.known)) if drift.known else None,
            "rewarmed_frames": active.monitor.rewarmed_frames if active else 0,
        },
    }


def probe(engine: Engine, active: Active) -> float | None:
    """Let a version that was just activated score one of its calibration parts, or drawn slopes where none was kept.
    Returns how long that took (ms); None, with an event, where it failed: then each frame is answered UNKNOWN.

    So libraries that set up at their first image have done so when the first part comes.
    """
    version, geometry = active.model.version, active.sight.canvas.geometry
    image = engine.pictures(active.sight).sample(active.model.snapshot.calibration_set.samples[0])
    if image is None:
        height, width = geometry.canvas_px
        down, right = np.arange(height).astype(np.uint8), np.arange(width).astype(np.uint8)
        image = np.stack([down[:, None] + right] * geometry.channels, axis=-1)  # slopes: one grey all over is refused
    unplaced = replace(active, sight=replace(active.sight, template=None))  # it lies as taught, or is no part
    started = time.perf_counter()
    try:
        engine.score_image(Decoded(b"", image, geometry), unplaced)
    except Exception as error:  # whatever a device raises: it is recorded, and the line is not ready
        log.exception("the probe image could not be scored", version=version.number)
        engine.ledger.event(engine.clock_ms(), "probe_failed", version=version.number, error=repr(error))
        return None
    return round((time.perf_counter() - started) * 1000, 3)


def _trial(engine: Engine) -> dict[str, int] | None:
    trial, ledger = engine.trial, engine.ledger
    if trial is None:
        return None
    of, differ = engine.settings.policy.shadow_frames, len(trials.disagreements(ledger, trial.ticket))
    return {"frames": trials.seen(ledger, trial.ticket), "of": of, "disagreed": differ}
