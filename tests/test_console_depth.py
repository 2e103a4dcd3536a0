"""Depth on the pages: a person who is asked about a dent sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import browsing
import cv2
import fakeredis
import numpy as np
import pytest
from browsing import served
from conftest import frame, start_line, teach_line
from deep_frames import seeing_in, shot
from fastapi.testclient import TestClient
from pictures import png
from playwright.sync_api import Page, expect

from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from memory.extract import Extractor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small")]
browser, page, small = browsing.browser, browsing.page, browsing.small


@pytest.fixture
def seeing(extractor: Extractor, tmp_path: Path) -> tuple[Service, Settings]:
    """A line that sees depth and has flagged a dented part, with its settings."""
    settings = seeing_in(tmp_path / "line")
    wire = RedisStreams(fakeredis.FakeRedis(), "memory://", "test", "test")
    taught = teach_line(seeing_in(tmp_path / "taught"), extractor, map(shot, range(16)))
    started = start_line(taught, settings, extractor, wire)
    assert started.engine.judge(frame("dented", shot(500, 3.0))).verdict == "NG"
    return started, settings


@pytest.fixture
def url(seeing: tuple[Service, Settings]) -> Iterator[str]:
    with served(seeing[1], fakeredis.FakeRedis(), ConsoleSettings()) as address:
        yield address


def test_review_shows_depth_by_one_key(url: str, page: Page) -> None:
    page.goto(f"{url}/review")
    image = page.locator("#image")
    for key, kind in (("", "heat"), ("z", "depth"), ("z", "image"), ("z", "depth"), ("h", "heat"), ("h", "image")):
        if key:
            page.keyboard.press(key)
        expect(image).to_have_attribute("src", re.compile(f"/{kind}\\.jpg"))
    page.get_by_role("button", name="Depth").click()
    expect(image).to_have_attribute("src", re.compile(r"/depth\.jpg"))
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64


def test_the_relief_is_lit_from_the_upper_left(seeing: tuple[Service, Settings]) -> None:
    """A bump is bright where it rises to the right and down, and dark behind."""
    service, settings = seeing
    bumped = service.engine.judge(frame("bumped", shot(501, -6.0)))
    app = application(line_view(settings, open_state(settings.state_dir), service.streams), access(ConsoleSettings()))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        got = client.get(f"/frames/{bumped.seq}/depth.jpg")
        assert got.status_code == 200
        shown = cv2.imdecode(np.frombuffer(got.content, np.uint8), cv2.IMREAD_GRAYSCALE).astype(int)
    middle_x, middle_y = 32 + 10, 32 - 8
    before, behind = (shown[middle_y + by, middle_x + by] for by in (-3, 3))
    assert before > 128 + 40
    assert behind < 128 - 40


def test_a_line_without_depth_offers_none(service: Service, settings: Settings, wire: RedisStreams) -> None:
    judged = service.engine.judge(frame("f", png(500)))
    app = application(line_view(settings, open_state(settings.state_dir), wire), access(ConsoleSettings()))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get(f"/frames/{judged.seq}/depth.jpg").status_code == 404
        assert '<button id="depth" hidden>' in client.get("/review").text
