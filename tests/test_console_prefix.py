"""The console below a path, behind a proxy that takes the path away or leaves it: pages, pictures and links work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import browsing
import pytest
from browsing import served
from playwright.sync_api import Page, Response, expect
from servers import RealRedis, until
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.console.access import Role, grant
from daemon.ledger.answers import every_answer
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings

pytestmark = [pytest.mark.redis, pytest.mark.slow]
browser, page = browsing.browser, browsing.page
line, small, wire = browsing.line, browsing.small, browsing.wire
PREFIX = "/plant/line1"


def taking(app: ASGIApp) -> ASGIApp:
    """A proxy that takes the prefix away, as nginx does with a path in `proxy_pass`."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith(PREFIX), f"{scope['path']} is not ours"
            scope = {**scope, "path": scope["path"].removeprefix(PREFIX) or "/"}
        await app(scope, receive, send)

    return proxy


@pytest.mark.parametrize("behind", [None, taking])
def test_everything_works_below_a_path(
    page: Page,
    line: tuple[Service, Settings],
    real_redis: RealRedis,
    tmp_path: Path,
    behind: Callable[[ASGIApp], ASGIApp] | None,
) -> None:
    tokens, failed = tmp_path / "tokens.json", []
    secret = grant(tokens, "anna", Role.ENGINEER)
    guarded = ConsoleSettings(prefix=PREFIX, tokens=tokens)

    def seen(response: Response) -> None:
        if response.status >= 400 or PREFIX not in response.url:
            failed.append(f"{response.status} {response.url}")

    with served(line[1], real_redis.client(), guarded, behind) as root:
        page.goto(f"{root}{PREFIX}/review")
        assert page.url == f"{root}{PREFIX}/login"
        page.on("response", seen)
        page.fill("#token", secret)
        page.click("text=Log in >> visible=true")
        expect(page.locator("#strip li")).to_have_count(4)
        expect(page.locator("#link")).to_have_text("live")
        until(lambda: page.evaluate("document.getElementById('image').naturalWidth > 0"))
        for name in ("Review", "Drift", "Versions", "Threshold", "Setup"):
            page.click(f"nav >> text={name}")
            expect(page.locator("nav a[aria-current]")).to_have_text(name)
        page.click("nav >> text=Drift")
        page.click("text=24 h")
        assert page.url == f"{root}{PREFIX}/drift?hours=24"
        page.click("nav >> text=Versions")
        page.click("tbody a >> nth=0")
        assert page.url == f"{root}{PREFIX}/versions/1"
        page.click("nav >> text=Review")
        expect(page.get_by_text("part-f612").first).to_be_visible()
        page.keyboard.press("g")
        page.clock.fast_forward(5_000)
        until(lambda: every_answer(line[0].engine.ledger))
        page.click(".brand")
        assert page.url == f"{root}{PREFIX}/"
    assert failed == []
