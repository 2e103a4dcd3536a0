"""Traces by OpenTelemetry: a span for each judged frame, and one for each lesson."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from daemon.settings.load import ConfigError, Settings

Mark = Callable[[str, str | int | float], None]
Span = Callable[[str], AbstractContextManager[Mark]]


def untraced(_: str) -> AbstractContextManager[Mark]:
    """A span that nobody sees."""
    return nullcontext(lambda _name, _value: None)


def tracing(settings: Settings) -> Span:
    """How spans are made: given to the collector that `telemetry.endpoint` names, in the background, or to nobody.

    Raises ConfigError where OpenTelemetry is not installed. A collector that is away costs no frame its time.
    """
    endpoint = settings.telemetry.endpoint
    if endpoint is None:
        return untraced
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            expected="OpenTelemetry, which telemetry.endpoint needs",
            came="it is not installed",
            do="pip install 'driftline[otel]'",
        ) from error

    named = {"service.name": "driftline", "service.instance.id": settings.line}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=5)))
    tracer: Any = provider.get_tracer("driftline")

    @contextmanager
    def span(name: str) -> Iterator[Mark]:
        with tracer.start_as_current_span(name) as current:
            yield current.set_attribute

    return span
