"""A console's pages in a browser, before a line that runs over a real Redis; tests import these fixtures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
import uvicorn
from conftest import frame
from pictures import png
from playwright.sync_api import Browser, Page, sync_playwright
from servers import RealRedis, free_port, need
from starlette.types import ASGIApp

from daemon import build
from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from memory.extract import Extractor


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    chromium = need("chromium")
    with sync_playwright() as running:
        launched = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def wire(settings: Settings, real_redis: RealRedis) -> RedisStreams:
    """The line's streams, over a real Redis."""
    return RedisStreams(real_redis.client(), real_redis.url, settings.redis.prefix, settings.line)


@pytest.fixture
def line(service: Service, settings: Settings) -> Iterator[tuple[Service, Settings]]:
    """A taught line whose service turns in a thread."""
    engine = service.engine
    for number, flaw in ((500, None), (610, Flaw.BURR), (611, Flaw.BURR), (612, Flaw.BURR)):
        engine.judge(frame(f"f{number}", png(number, STEADY, flaw)))
    ended = threading.Event()

    def turn() -> None:
        while not ended.is_set():
            service.turn(50)
            engine.ledger.set_status("service", service.status())

    thread = threading.Thread(target=turn)
    thread.start()
    yield service, settings
    ended.set()
    thread.join()


@contextmanager
def served(
    settings: Settings,
    client: redis.Redis,
    console: ConsoleSettings,
    behind: Callable[[ASGIApp], ASGIApp] | None = None,
) -> Iterator[str]:
    """The console of a line, served by uvicorn, `behind` a proxy."""
    streams = RedisStreams(client, settings.redis.url, settings.redis.prefix, settings.line)
    settings = settings.model_copy(update={"console": console})
    app = application(line_view(settings, open_state(settings.state_dir), streams), access(console))
    port, given = free_port(), behind(app) if behind else app
    server = uvicorn.Server(uvicorn.Config(given, port=port, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        app.state.services.events.end()  # as `driftline console` does: the server waits for those who watch
        server.should_exit = True
        thread.join()


@pytest.fixture
def url(line: tuple[Service, Settings], real_redis: RealRedis) -> Iterator[str]:
    """An open console on this PC."""
    with served(line[1], real_redis.client(), ConsoleSettings()) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window, which fails the test on any error of a script or of the content policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    window = context.new_page()
    window.clock.install()  # it runs as ever, and a test may let it jump over what a page waits
    wrong: list[str] = []
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    yield window
    context.close()
    assert wrong == []


@pytest.fixture
def small(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console's own backbone is the line's: it is loaded once for all tests."""
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
