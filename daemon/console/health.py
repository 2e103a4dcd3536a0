"""Liveness, readiness and metrics, for supervisors and Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.console.access import Viewer
from daemon.console.services import Injected
from daemon.console.status_view import StatusView
from daemon.learning.reliability import all_distrusted
from daemon.ledger.frame_list import judging_times
from daemon.ledger.history import is_quiet
from daemon.ledger.review_queue import count_open

NEWEST = 1_000
ALERTED = ("events.clock_jumped", "events.over_budget")  # there from the start, or the first would be no increase
RESOURCES = ("redis", "disk", "camera", "inspection")
router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The console answers."""
    return {"console": "alive"}


@router.get("/readyz")
def readyz(services: Injected, response: Response) -> dict[str, bool]:
    """Whether frames are judged: the service runs with a bank that scored a probe image, Redis answers, and nothing
    else that the line needs is away."""
    now = services.status.service()
    response.status_code = 200 if now.ready else 503
    return {
        "service": now.running,
        "bank": now.version is not None,
        "probe": now.probed,
        "redis": "redis" not in now.troubles,
        "nothing_away": not now.troubles,
    }


@router.get("/metrics")
def metrics(services: Injected, _: Viewer) -> Response:
    """What the ledger counts, for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counted(services.status))
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")


class Counted(Collector):
    """Prometheus metrics of the ledger's counts; gauges, since retention deletes rows."""

    def __init__(self, status: StatusView) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Every metric, read now."""
        recorded = GaugeMetricFamily(
            "driftline_recorded", "Rows in the ledger: verdicts, answers, lessons, events", labels=["what", "kind"]
        )
        ledger, reported = self._status.line.state.ledger, self._status.reported()
        for name, count in (dict.fromkeys(ALERTED, 0) | ledger.counts()).items():
            what, _, kind = name.partition(".")
            recorded.add_metric([what, kind], count)
        yield recorded
        yield GaugeMetricFamily("driftline_running", "1 while the service runs", value=float(reported["running"]))
        now = self._status.service()
        yield GaugeMetricFamily("driftline_ready", "1 while a part that comes now is judged", value=float(now.ready))
        trouble = GaugeMetricFamily("driftline_trouble", "1 while it is away or in trouble", labels=["what"])
        for what in RESOURCES:
            trouble.add_metric([what], float(what in now.troubles))
        yield trouble
        silent = float(is_quiet(ledger))
        yield GaugeMetricFamily("driftline_quiet", "1 while nothing was rejected for long", value=silent)
        distrusted = float(len(all_distrusted(ledger)))
        yield GaugeMetricFamily(
            "driftline_distrusted", "Operators whose answers wait for a second person", value=distrusted
        )
        trusted = float(now.trust != "untrusted")
        yield GaugeMetricFamily("driftline_scene_trusted", "0 while the scene is beyond trust", value=trusted)
        yield GaugeMetricFamily(
            "driftline_left_out",
            "Frames not judged since the start, for more came",
            value=reported.get("left_out") or 0,
        )
        yield GaugeMetricFamily("driftline_version", "The version that judges", value=reported.get("version") or 0)
        yield GaugeMetricFamily(
            "driftline_reviews_waiting", "Parts that people are asked about", value=count_open(ledger)
        )
        took = GaugeMetricFamily("driftline_judge_ms", "Milliseconds a frame, of the newest", labels=["quantile"])
        spent_ms = judging_times(ledger, NEWEST)
        if spent_ms:
            for share in (0.5, 0.99):
                took.add_metric([str(share)], float(np.quantile(spent_ms, share)))
        yield took
