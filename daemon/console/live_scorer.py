"""Scoring of an uploaded image by the newest version, as the line would score it now."""

from __future__ import annotations

import time
from typing import Any

from daemon.console.line import LineView
from daemon.inference.engine import Engine
from daemon.intake.onto_canvas import Decoded, decode_onto
from memory.geometry import Geometry
from policies.verdict import decide

LIGHT_S = 5.0


class LiveScorer:
    """Scores images with the newest version in today's light, one at a time; nothing is recorded."""

    def __init__(self, line: LineView) -> None:
        self._line = line
        self._engine: Engine | None = None
        self._rebuilt_s = 0.0

    def decode(self, data: bytes) -> Decoded:
        """The image as the newest version takes it. Raises ImageRejected, and StoreError before anything was taught."""
        settings, version = self._line.settings, self._line.model().version
        return decode_onto(data, Geometry.of(version.geometry, settings.extractor.input_px), settings.source)

    def score(self, image: Decoded) -> dict[str, Any]:
        """The verdict and score of an image by the newest version.

        Not thread-safe: `Services.scoring` lets one call run at a time. Raises StoreError before anything was taught.
        """
        model = self._line.model()
        if self._engine is None:
            self._engine = self._line.engines.live()
        engine = self._engine
        if engine.active is None or engine.active.model.version.sha256 != model.version.sha256:
            engine.activate(model)
        if time.monotonic() - self._rebuilt_s > LIGHT_S:
            engine.rebuild_monitor()  # only the service sees frames: the light is read from its ledger
            self._rebuilt_s = time.monotonic()
        active = engine.active
        assert active is not None  # noqa: S101  # activate set it
        scored = engine.score_image(image, active)
        decision = decide(scored.score.value, active.current_threshold, engine.drift())
        return {
            "verdict": decision.verdict,
            "reason": decision.reason,
            "score": scored.score.value,
            "threshold": active.current_threshold.value,
            "p_value": decision.p_value,
            "version": model.version.number,
            "map": scored.anomaly.tolist(),
        }
