"""The pages in a browser, before a line that runs over a real Redis."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from conftest import RealRedis, frame, png
from playwright.sync_api import Browser, Page, expect, sync_playwright

from daemon import build
from daemon.config import ConsoleSettings, Settings
from daemon.console.access import access
from daemon.console.app import application
from daemon.console.line import Line
from daemon.rendered import STEADY, Flaw
from daemon.service import Service
from daemon.wire import Wire

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without one the test is skipped, and fails under CI."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have a chromium on the PATH")
        pytest.skip("no chromium on the PATH")
    with sync_playwright() as running:
        made = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def wire(settings: Settings, real_redis: RealRedis) -> Wire:
    """The line's streams, over a real Redis."""
    return Wire(real_redis.client(), real_redis.url, settings.redis.prefix, settings.line)


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
            engine.ledger.say("service", service.status())

    thread = threading.Thread(target=turn)
    thread.start()
    yield service, settings
    ended.set()
    thread.join()


@pytest.fixture
def url(line: tuple[Service, Settings], real_redis: RealRedis) -> Iterator[str]:
    """The console of that line, served by uvicorn."""
    _, settings = line
    streams = Wire(real_redis.client(), real_redis.url, settings.redis.prefix, settings.line)
    app = application(Line(settings, build.state(settings), streams), access(ConsoleSettings()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window, which fails the test on any error of a script or of the content policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    made = context.new_page()
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    yield made
    context.close()
    assert wrong == []


def answers(service: Service) -> list[tuple[str, str, str]]:
    rows = service.engine.ledger.all("SELECT frame_id, verdict, operator FROM feedback ORDER BY id")
    return [(r["frame_id"], r["verdict"], r["operator"]) for r in rows]


def until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


def test_the_newest_part_is_shown_as_it_is_judged(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(url)
    expect(page.locator("#verdict")).to_have_text("NG")
    expect(page.locator("#part")).to_have_text("part-f612")
    expect(page.locator("#strip li")).to_have_count(4)
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#scene")).to_have_text("stable")
    line[0].wire.send("frames", {"frame_id": "new", "part_id": "4711", "image": png(504)})
    expect(page.locator("#part")).to_have_text("4711")
    expect(page.locator("#verdict")).to_have_text("OK")
    until(lambda: page.evaluate("document.getElementById('image').naturalWidth > 0"))


def test_parts_are_answered_by_key_and_taken_back(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    first, second = (page.locator("#queue li").nth(i).get_attribute("data-frame") for i in (0, 1))
    page.keyboard.press("g")
    expect(page.locator("#queue li")).to_have_count(2)
    page.keyboard.press("u")
    expect(page.locator("#queue li")).to_have_count(3)
    page.keyboard.press("d")
    page.keyboard.press("s")
    until(lambda: answers(service) == [(first, "defect", "console")])
    expect(page.locator("#queue li")).to_have_count(2)
    assert page.locator("#queue li").nth(1).get_attribute("data-frame") == second


def test_a_region_is_dragged(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    until(lambda: page.evaluate("document.getElementById('image').naturalWidth > 0"))
    box = page.locator("#image").bounding_box()
    assert box
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    page.mouse.move(left + side * 0.25, top + side * 0.25)
    page.mouse.down()
    page.mouse.move(left + side * 0.75, top + side * 0.5, steps=4)
    page.mouse.up()
    expect(page.locator("#region")).to_be_visible()
    page.keyboard.press("d")
    ledger = line[0].engine.ledger
    until(lambda: ledger.one("SELECT region FROM feedback") is not None)
    row = ledger.one("SELECT region FROM feedback")
    assert row is not None
    assert [float(v) for v in row["region"][1:-1].split(",")] == pytest.approx([0.25, 0.25, 0.75, 0.5], abs=0.02)


def test_many_are_answered_at_once(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/review")
    page.locator("#queue li").nth(1).click(modifiers=["Shift"])
    page.keyboard.press("d")
    expect(page.locator("#queue li")).to_have_count(1)
    until(lambda: len(answers(line[0])) == 2)


def test_answers_survive_a_lost_connection(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    page.context.set_offline(True)
    page.keyboard.press("d")
    expect(page.locator("#told")).to_contain_text("wait for the connection", timeout=10_000)
    assert answers(line[0]) == []
    page.context.set_offline(False)
    until(lambda: len(answers(line[0])) == 1)


def test_the_second_to_answer_is_told(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    page.goto(f"{url}/review")
    first = page.locator("#queue li").nth(0).get_attribute("data-frame")
    assert first
    page.keyboard.press("g")
    service.wire.send("feedback", {"frame_id": first, "verdict": "defect", "operator": "bert"})
    expect(page.locator("#told")).to_contain_text("bert said defect", timeout=10_000)
    assert answers(service) == [(first, "defect", "bert")]
