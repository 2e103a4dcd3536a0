"""Traces: a collector gets a span for each frame and lesson; one that is away costs nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import settle
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pictures import png
from servers import until

from daemon.service import Service
from daemon.settings.load import ConfigError, Settings, load
from daemon.settings.models import TelemetrySettings
from daemon.settings.tracing import tracing


class Collector(BaseHTTPRequestHandler):
    """A collector that takes traces by OTLP over HTTP."""

    def do_POST(self) -> None:
        got = ExportTraceServiceRequest()
        got.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.spans += [
            (each.resource, span) for each in got.resource_spans for s in each.scope_spans for span in s.spans
        ]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.spans = []  # type: ignore[attr-defined]  # what came, for the test
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def traced(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"telemetry": TelemetrySettings(endpoint=f"http://127.0.0.1:{port}")})


def test_a_frame_and_a_lesson_are_spans(service: Service, settings: Settings, collector: ThreadingHTTPServer) -> None:
    service._span = tracing(traced(settings, collector.server_port))
    service.streams.send("frames", {"frame_id": "f", "part_id": "4711", "image": png(504)})
    settle(service, lambda: service.engine.ledger.frame("f") is not None)
    service.learn("admission")
    spans: Any = collector.spans  # type: ignore[attr-defined]  # as above
    until(lambda: len(spans) == 2)
    (resource, frame), (_, lesson) = spans
    assert {"driftline", "test"} <= {each.value.string_value for each in resource.attributes}
    told = {each.key: each.value for each in frame.attributes}
    assert (frame.name, told["frame_id"].string_value, told["part_id"].string_value) == ("frame", "f", "4711")
    assert (told["verdict"].string_value, told["version"].int_value) == ("OK", 1)
    assert told["score"].double_value > 0
    assert frame.end_time_unix_nano > frame.start_time_unix_nano
    assert lesson.name == "lesson"


def test_a_collector_that_is_away_costs_no_verdict(service: Service, settings: Settings) -> None:
    service._span = tracing(traced(settings, 1))
    service.streams.send("frames", {"frame_id": "f", "image": png(504)})
    settle(service, lambda: service.engine.ledger.frame("f") is not None)


def test_without_the_library_or_an_address_it_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="otel"):
        tracing(traced(settings, 1))
    with pytest.raises(ConfigError):
        load(None, ["telemetry.endpoint=collector:4318"])
