"""Webhooks, against a receiver that checks their signatures."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
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
    refused_types: ClassVar[set[str]] = set()
    refused: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        status = self.answers.pop(0) if self.answers else 204
        if json.loads(body)["type"] in self.refused_types:
            self.refused.append(self.headers["webhook-id"])
            status = 404
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
    Receiver.answers, Receiver.heard, Receiver.refused_types, Receiver.refused = [], [], set(), []
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
    """As the schedule makes them: one that the receiver did not take comes again under the same id, and meanwhile
    verdicts are posted as ever."""
    monkeypatch.setattr("daemon.plant.supervise.BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr("daemon.plant.feed.REPORTS_S", 0.02)
    settings = settings.model_copy(update={"reports": ReportSettings(webhook=True)})
    monkeypatch.setattr(service.engine, "settings", settings)
    feed = feed_of(service, settings, wire, webhook=WebhookSettings(url=receiver, secret=SECRET))
    report_shift(service)  # before anybody listened
    Receiver.refused_types = {"report"}

    async def scenario() -> None:
        task = asyncio.ensure_future(supervise(feed, enabled(feed.settings)))
        for cursor in ("webhook.cursor", "webhook-reports.cursor"):
            await until(lambda cursor=cursor: checked((settings.state_dir / "plant" / cursor).exists))
        report_shift(service)
        await until(lambda: checked(lambda: len(Receiver.refused) > 2))
        judge_and_report(service, "meanwhile")
        await until(lambda: checked(lambda: len(Receiver.heard) == 1))
        Receiver.refused_types = set()
        await until(lambda: checked(lambda: len(Receiver.heard) == 2))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    (_, verdict), (name, told) = Receiver.heard
    assert verdict["data"]["frame_id"] == "meanwhile"
    assert set(Receiver.refused) == {name}, "under the same id"
    assert (told["type"], told["line"], told["data"]["frames"]) == ("report", "test", 0)
    assert told["data"]["false_rejects"] == [0, 0]
    assert told["data"]["whole"] is True


def test_a_report_reaches_the_plant_although_the_disk_takes_no_file(
    service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    reports = ReportSettings(webhook=True, folder=tmp_path / "file" / "reports")
    monkeypatch.setattr(service.engine, "settings", settings.model_copy(update={"reports": reports}))
    with pytest.raises(OSError, match="file"):
        report_shift(service)
    assert service.engine.ledger.counts()["events.shift_reported"] == 1
