"""No request that the API's own description allows, or nearly, is a server error."""

from __future__ import annotations

from collections import Counter

import pytest
import schemathesis
from conftest import frame
from hypothesis import HealthCheck, given, settings
from pictures import png

from daemon import build
from daemon.cli.console import line_view
from daemon.console import app as console
from daemon.console.access import access
from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from memory.extract import Extractor


@pytest.fixture
def described(
    service: Service, settings: Settings, wire: RedisStreams, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> schemathesis.BaseSchema:
    """The API of a line with some frames, as it describes itself; nobody has to say who they are."""
    monkeypatch.setattr(console, "CHANGES_A_MINUTE", 10**9)
    monkeypatch.setattr(console, "READS_A_MINUTE", 10**9)
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    service.engine.judge(frame("good", png(500)))
    service.engine.judge(frame("bad", png(610, STEADY, Flaw.BURR)))
    service.engine.ledger.set_status("service", service.status())
    app = console.application(line_view(settings, open_state(settings.state_dir), wire), access(ConsoleSettings()))
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "127.0.0.1"})


@pytest.mark.slow
def test_no_request_is_a_server_error(described: schemathesis.BaseSchema) -> None:
    answered: Counter[str] = Counter()
    for documented in described.get_all_operations():
        operation = documented.ok()

        @settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def no_server_error(case: schemathesis.Case) -> None:
            answer = case.call(headers={"Host": "127.0.0.1"})
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.text}"
            answered[operation.label] += answer.status_code < 400  # noqa: B023  # called in this turn of the loop

        no_server_error()
    assert sum(count > 0 for count in answered.values()) > 10, answered
