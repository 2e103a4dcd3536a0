"""*Setup* tries each kind of detector on the parts that were sent, and teaches the one that is chosen."""

from __future__ import annotations

from pathlib import Path

import browsing
import pytest
import setups
from fastapi.testclient import TestClient
from playwright.sync_api import Page, expect
from servers import until
from setups import sent, taught

from daemon import build
from daemon.service import Service
from memory.extract import Extractor
from memory.padim.detector import PADIM

browser, page, url = browsing.browser, browsing.page, browsing.url
line, small, wire = browsing.line, browsing.small, browsing.wire
client = setups.client


@pytest.mark.usefixtures("trained_briefly")
def test_each_kind_is_tried_and_another_one_is_taught(client: TestClient, service: Service) -> None:
    batch = sent(client)
    assert client.post("/api/setup/advise", json={"batch": batch}).status_code == 202
    until(lambda: client.get("/api/work").json()["work"]["ended"])
    work = client.get("/api/work").json()["work"]
    assert work["error"] is None
    tried = [one["detector"] for one in work["found"]["candidates"]]
    assert tried == ["patch-bank", "padim", "composition", "simplenet"], "an exported model is tried where one is named"
    assert work["found"]["advised"] in tried
    sheets = [client.get(f"/setup/sheets/{kind}.html", params={"batch": batch}) for kind in tried]
    assert [(sheet.status_code, "Drawn defects" in sheet.text) for sheet in sheets] == [(200, True)] * 4
    assert [sheet.text.count("<img ") for sheet in sheets] == [8 + 3 + 8 + 3] * 4, "15 drawn defects, 3 good parts"
    assert client.get("/setup/sheets/padim.html", params={"batch": "other"}).status_code == 404
    assert not list(service.engine.settings.state_dir.glob("teach-*")), "what it took is gone"
    draft = taught(client, batch=batch, detector=PADIM)
    assert draft["detector"] == PADIM
    assert client.post("/api/setup/live", json={"draft": draft["id"]}).status_code == 201
    assert service.store.head().detector == PADIM


def test_what_cannot_be_tried_or_taught_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = sent(client)
    unknown = client.post("/api/setup/teach", json={"batch": batch, "detector": "gone"})
    assert unknown.status_code == 404
    assert "'gone'" in unknown.json()["came"]
    assert client.post("/api/setup/advise", json={"batch": "another"}).status_code == 409
    monkeypatch.setattr("daemon.evaluation.installed.find_spec", lambda _: None)
    missing = client.post("/api/setup/advise", json={"batch": batch})
    assert missing.status_code == 404
    assert missing.json()["do"] == "pip install 'driftline[bench]'"


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.usefixtures("small", "trained_briefly")
def test_detectors_are_tried_on_the_page_and_one_press_teaches(
    page: Page, url: str, good_parts: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    page.goto(f"{url}/setup")
    expect(page.locator("#advise")).to_be_disabled()
    page.locator("#goods").set_input_files(good_parts)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#told")).to_contain_text("16 parts by patch-bank", timeout=20_000)
    page.locator("#advise").click()
    expect(page.locator("#advise-told")).to_contain_text("Advised: ", timeout=60_000)
    expect(page.locator("#candidates tbody tr")).to_have_count(4)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="What it saw").first.click()
    expect(opened.value.get_by_role("heading", name="Good parts with the largest scores")).to_be_visible()
    picture = opened.value.locator("img").first
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.reload()
    expect(page.locator("#candidates tbody tr")).to_have_count(4)
    page.get_by_role("button", name="Teach composition").click()
    expect(page.locator("#told")).to_contain_text("16 parts by composition", timeout=20_000)
