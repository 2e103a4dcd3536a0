"""The console behind a real nginx with its defaults, below a path that it leaves or takes away; and two consoles on one
PC."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import browsing
import pytest
from browsing import served
from conftest import frame
from pictures import png
from playwright.sync_api import Page, expect
from servers import RealRedis, free_port, need, until

from daemon.console.access import Role, grant
from daemon.ledger.answers import every_answer
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings

pytestmark = [pytest.mark.redis, pytest.mark.slow]
browser, page = browsing.browser, browsing.page
line, small, wire = browsing.line, browsing.small, browsing.wire
PREFIX = "/plant/line1"
# Nothing but where it writes: the rest are its defaults, and `proxy_pass` as its own pages show it.
CONF = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port}; location {prefix}/ {{ proxy_pass {console}{slash}; }} }}
}}
"""


@contextmanager
def nginx(folder: Path, console: str, slash: str) -> Iterator[str]:
    """A real nginx before a console; its address."""
    port, conf = free_port(), folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, port=port, prefix=PREFIX, console=console, slash=slash))
    running = subprocess.Popen([need("nginx"), "-c", conf, "-p", folder])
    try:
        until((folder / "pid").exists)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(10)


@pytest.mark.parametrize("slash", ["", "/"], ids=["the path is left", "the path is taken away"])
def test_news_come_and_answers_go_through_nginx_with_its_defaults(
    page: Page, line: tuple[Service, Settings], real_redis: RealRedis, tmp_path: Path, slash: str
) -> None:
    service = line[0]
    with (
        served(line[1], real_redis.client(), ConsoleSettings(prefix=PREFIX)) as root,
        nginx(tmp_path, root, slash) as front,
    ):
        page.goto(f"{front}{PREFIX}/")
        expect(page.locator("#link")).to_have_text("live")
        expect(page.locator("#strip li")).to_have_count(4)
        service.engine.judge(frame("late", png(613)))
        expect(page.locator("#part")).to_have_text("part-late")
        page.goto(f"{front}{PREFIX}/review")
        expect(page.locator("#queue li")).to_have_count(3)
        page.keyboard.press("g")
        page.clock.fast_forward(5_000)
        until(lambda: every_answer(service.engine.ledger))


def test_two_consoles_of_one_pc_do_not_log_each_other_out(
    page: Page, line: tuple[Service, Settings], real_redis: RealRedis, tmp_path: Path
) -> None:
    secrets = [grant(tmp_path / f"tokens{number}.json", "anna", Role.ENGINEER) for number in range(2)]
    guarded = [ConsoleSettings(port=8090 + number, tokens=tmp_path / f"tokens{number}.json") for number in range(2)]
    with (
        served(line[1], real_redis.client(), guarded[0]) as first,
        served(line[1], real_redis.client(), guarded[1]) as second,
    ):
        for root, secret in zip((first, second), secrets, strict=True):
            page.goto(root)
            page.fill("#token", secret)
            page.click("text=Log in >> visible=true")
            expect(page.locator("#link")).to_have_text("live")
        page.goto(first)
        assert urlsplit(page.url).path == "/"
        page.click("#logout")
        expect(page.locator("#token")).to_be_visible()
        page.goto(second)
        expect(page.locator("#link")).to_have_text("live")
