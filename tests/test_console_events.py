"""The news that the console sends to its pages: nothing judged is left out, and trouble does not end them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from conftest import frame
from pictures import png

from daemon.cli.console import line_view
from daemon.console.events import EventBroadcaster
from daemon.console.status_view import StatusView
from daemon.ledger.frames import last_seq
from daemon.ledger.ledger import Ledger
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams


@pytest.fixture
def news(service: Service, settings: Settings, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch) -> EventBroadcaster:
    """The news of a line that has judged one part."""
    monkeypatch.setattr("daemon.console.events.POLL_S", 0.01)
    service.engine.judge(frame("first", png(500)))
    service.engine.ledger.set_status("service", service.status())
    return EventBroadcaster(StatusView(line_view(settings, open_state(settings.state_dir), wire)))


def while_read(news: EventBroadcaster, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario while the news are read."""

    async def both() -> None:
        reading = asyncio.create_task(news.run())
        try:
            await asyncio.wait_for(scenario(), 10)
        finally:
            news.end()
            await reading

    asyncio.run(both())


def test_what_is_judged_after_the_first_status_comes_as_news(news: EventBroadcaster, service: Service) -> None:
    async def scenario() -> None:
        with news.subscribed() as mine:
            assert "event: status" in (await mine.get() or "")
            service.engine.judge(frame("second", png(501)))
            told = ""
            while "second" not in told:
                told = await mine.get() or ""
            assert "first" not in told

    while_read(news, scenario)


def test_a_newcomer_is_told_the_status_at_once(news: EventBroadcaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.console.events.STATUS_EVERY", 10_000)

    async def scenario() -> None:
        with news.subscribed() as first:
            assert "event: status" in (await first.get() or "")
            with news.subscribed() as second:
                assert "event: status" in (await second.get() or "")

    while_read(news, scenario)


def test_news_go_on_after_trouble(news: EventBroadcaster, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def broken(ledger: Ledger) -> int:
        if failed.is_set():
            return last_seq(ledger)
        failed.set()
        raise OSError("no more files")

    monkeypatch.setattr("daemon.console.events.last_seq", broken)

    async def scenario() -> None:
        with news.subscribed() as mine:
            assert "event: status" in (await mine.get() or "")

    while_read(news, scenario)
    assert failed.is_set()
