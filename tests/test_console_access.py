"""Every page is usable by whoever cannot see it well: axe-core finds nothing serious, in light and dark, in English and
German, and nothing is wider than a window or a phone."""

from __future__ import annotations

from typing import Literal

import browsing
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import NOW_MS
from playwright.sync_api import Page, expect
from test_console_pages import EVERY_PAGE

from daemon.learning import answers
from daemon.ledger.studies import plan
from daemon.service import Service
from daemon.settings.load import Settings
from policies.verdict import Label

pytestmark = [pytest.mark.redis, pytest.mark.slow]
browser, page, url = browsing.browser, browsing.page, browsing.url
line, small, wire = browsing.line, browsing.small, browsing.wire
SERIOUS = {"serious", "critical"}


# Of look, width and language every two meet.
@pytest.mark.parametrize(
    ("look", "width", "language"),
    [("light", 1280, "en"), ("dark", 390, "en"), ("light", 390, "de"), ("dark", 1280, "de")],
)
def test_axe_finds_nothing_serious_on_any_page(
    page: Page, url: str, line: tuple[Service, Settings], look: Literal["light", "dark"], width: int, language: str
) -> None:
    ledger = line[0].engine.ledger
    answers.record(ledger, answers.answer("f610", "defect", "anna"), NOW_MS)
    plan(ledger, NOW_MS, "eva", "autumn", 2, ["console"], {"f500": Label.GOOD, "f611": Label.DEFECT})
    page.emulate_media(color_scheme=look)
    page.context.add_cookies([{"name": "driftline-language", "value": language, "url": url}])
    page.set_viewport_size({"width": width, "height": 844})
    found: dict[tuple[str, str], list[str]] = {}
    for path in (*EVERY_PAGE, "parts/2", "studies/1", "studies/1/rate", "nowhere"):
        page.goto(f"{url}/{path}")
        if path != "nowhere":
            expect(page.locator("#link")).to_have_text("live")
        page.wait_for_timeout(300)
        expect(page.locator("html")).to_have_attribute("lang", language)
        if page.evaluate("document.scrollingElement.scrollWidth") > width:
            found[path, "wider than the window"] = []
        for fault in Axe().run(page).response["violations"]:
            if fault["impact"] in SERIOUS:
                found[path, fault["id"]] = [node["html"][:120] for node in fault["nodes"]]
    assert found == {}
