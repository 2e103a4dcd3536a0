"""Webhooks, against a receiver that checks their signatures."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from plants import checked, feed_of, judge_and_report, until
from standardwebhooks.webhooks import Webhook

from daemon.plant.supervise import enabled, supervise
from daemon.schedule import report_shift
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ReportSettings, WebhookSettings
from daemon.streams import RedisStreams

SECRET = base64.b64encode(b"a secret of twenty-four.").decode()


class Receiver(BaseHTTPRequestHandler):
    """A receiver of webhooks that checks signatures, and answers as it is told to."""

    answers: ClassVar[list[int]] = []
    heard: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        status = self.answers.pop(0) if self.answers else 204
        if status == 204:
            payload = Webhook(SECRET).verify(body, {k.lower(): v for k, v in self.headers.items()})
            self.heard.append((self.headers["webhook-id"], payload))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """Its URL."""
    Receiver.answers, Receiver.heard = [], []
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_is_signed_posted_again_and_passed_over_once_refused(
    service: Service, settings: Settings, wire: RedisStreams, receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.plant.supervise.BACKOFF_FIRST_S", 0.05)
    feed = feed_of(service, settings, wire, webhook=WebhookSettings(url=receiver, secret=SECRET))
    Receiver.answers = [503, 401, 204, 422, 409, 204]

    async def scenario() -> None:
        task = asyncio.ensure_future(supervise(feed, enabled(feed.settings)))
        await until(lambda: checked((settings.state_dir / "plant" / "webhook.cursor").exists))
        for name in ("again", "refused", "had already", "last"):
            judge_and_report(service, name)
        await until(lambda: checked(lambda: len(Receiver.heard) == 2))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert [(name, payload["data"]["frame_id"]) for name, payload in Receiver.heard] == [
        ("test-1", "again"),
        ("test-4", "last"),
    ]
    counts = service.engine.ledger.counts()
    assert (counts["events.plant_away"], counts["events.webhook_refused"]) == (1, 2)


def test_reports_of_shifts_are_posted_where_that_is_set(
    service: Service, settings: Settings, wire: RedisStreams, receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the schedule makes them: one that the receiver did not take comes again, under the same id."""
    monkeypatch.setattr("daemon.plant.supervise.BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr("daemon.plant.feed.REPORTS_S", 0.02)
    settings = settings.model_copy(update={"reports": ReportSettings(webhook=True)})
    monkeypatch.setattr(service.engine, "settings", settings)
    feed = feed_of(service, settings, wire, webhook=WebhookSettings(url=receiver, secret=SECRET))
    report_shift(service)  # before anybody listened
    Receiver.answers = [503]

    async def scenario() -> None:
        task = asyncio.ensure_future(supervise(feed, enabled(feed.settings)))
        await until(lambda: checked((settings.state_dir / "plant" / "webhook-reports.cursor").exists))
        report_shift(service)
        await until(lambda: checked(lambda: len(Receiver.heard) == 1))
        report_shift(service)
        await until(lambda: checked(lambda: len(Receiver.heard) == 2))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    (first, told), (second, _) = Receiver.heard
    assert first != second
    assert (told["type"], told["line"], told["data"]["frames"]) == ("report", "test", 0)
    assert told["data"]["false_rejects"] == [0, 0]
    assert told["data"]["whole"] is True
