"""The pages in a browser, before a line that runs over a real Redis."""

from __future__ import annotations

import shutil
import time
from contextlib import closing, suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import browsing
import pytest
from browsing import served
from conftest import frame
from pictures import png
from playwright.sync_api import Browser, Error, Page, Route, expect
from servers import RealRedis, until

from daemon import clock
from daemon.console.access import Role, grant
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers as recording
from daemon.learning import lesson
from daemon.learning.rollback import roll_back
from daemon.ledger.answers import every_answer
from daemon.ledger.frames import newest_frames
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from drift.causes import Cause
from drift.monitor import CALM, Change
from memory.version import Version
from policies.admission import Hold
from policies.notices import notices

pytestmark = [pytest.mark.redis, pytest.mark.slow]
browser, page, url = browsing.browser, browsing.page, browsing.url
line, small, wire = browsing.line, browsing.small, browsing.wire
# What the pages wait: before an answer is sent (review.js), and before they listen again (common.js).
HELD_MS, AGAIN_MS = 4_000, 5_000
EVERY_PAGE = (
    *("", "review", "parts", "parts/1", "drift", "versions", "versions/1", "threshold"),
    *("reports", "studies", "setup"),
)


def answers(service: Service) -> list[tuple[str, str, str]]:
    return [(one.frame_id, one.label, one.operator) for one in every_answer(service.engine.ledger)]


def asked(page: Page, script: str) -> Any:
    """What a page says, once more where it draws itself anew in that moment."""
    with suppress(Error):
        return page.evaluate(script)
    page.wait_for_load_state()
    return page.evaluate(script)


def test_the_newest_part_is_shown_as_it_is_judged(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(url)
    expect(page.locator("#verdict")).to_have_text("NG")
    expect(page.locator("#part")).to_have_text("part-f612")
    expect(page.locator("#strip li")).to_have_count(4)
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#scene")).to_have_text("stable")
    line[0].streams.send("frames", {"frame_id": "new", "part_id": "4711", "image": png(504)})
    expect(page.locator("#part")).to_have_text("4711")
    expect(page.locator("#verdict")).to_have_text("OK")
    until(lambda: page.evaluate("document.getElementById('image').naturalWidth > 0"))


@pytest.mark.parametrize("width", [1280, 390])
def test_an_unknown_part_breaks_nothing(page: Page, url: str, line: tuple[Service, Settings], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(url)
    expect(page.locator("#part")).to_have_text("part-f612")
    for name, fields in (("nothing", {}), ("text", {"image": b"no picture at all"})):
        line[0].streams.send("frames", {"frame_id": name, "part_id": name, **fields})
        expect(page.locator("#part")).to_have_text(name)
        expect(page.locator("#verdict")).to_have_text("UNKNOWN")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert page.evaluate("by('verdict').scrollWidth <= by('verdict').clientWidth"), "the word stays on its card"
        expect(page.get_by_text("There is no picture of this part.")).to_be_visible()
        assert "object at 0x" not in page.locator("#reason").inner_text()
    until(lambda: page.evaluate("[...document.images].every((image) => image.hidden || image.naturalWidth > 0)"))


def test_a_part_judged_while_the_list_is_under_way_is_not_hidden_by_it(
    page: Page, url: str, line: tuple[Service, Settings]
) -> None:
    def late(route: Route) -> None:
        before = route.fetch()
        line[0].streams.send("frames", {"frame_id": "new", "part_id": "4711", "image": png(504)})
        time.sleep(1)  # longer than the page waits to draw
        route.fulfill(response=before)

    page.route("**/api/frames*", late, times=1)
    page.goto(url)
    expect(page.locator("#strip li").nth(1)).to_contain_text("part-f612")
    expect(page.locator("#part")).to_have_text("4711")
    expect(page.locator("#strip li", has_text="4711")).to_have_count(1)


def test_a_picture_that_a_browser_keeps_is_told_from_another_line_s(
    page: Page, url: str, line: tuple[Service, Settings]
) -> None:
    service = line[0]
    (newest,) = newest_frames(service.engine.ledger, 1)
    head = service.store.head()
    assert head
    for where, query in (("review", f"judged={newest.judged_ms}"), ("versions/1", f"of={head.sha256[:12]}")):
        page.goto(f"{url}/{where}")
        expect(page.locator(f"img[src$='?{query}']").first).to_be_attached()


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
    page.clock.fast_forward(HELD_MS)
    until(lambda: answers(service) == [(first, "defect", "console")])
    (told,) = every_answer(service.engine.ledger)
    assert told.looked_ms is not None, "the page tells how long the part was shown"
    expect(page.locator("#queue li")).to_have_count(2)
    assert page.locator("#queue li").nth(1).get_attribute("data-frame") == second


def test_a_key_that_is_held_answers_once(page: Page, url: str) -> None:
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    for _ in range(5):
        page.keyboard.down("d")  # again and again, as a keyboard repeats it
    page.keyboard.up("d")
    expect(page.locator("#queue li")).to_have_count(2)


def test_who_is_distrusted_is_told(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    ledger = line[0].engine.ledger
    for name in ("f610", "f611"):
        recording.record(ledger, recording.answer(name, "defect", "bert"), clock.unix_ms())
        recording.record(ledger, recording.answer(name, "defect", "carl", check=True), clock.unix_ms())
        recording.record(ledger, recording.answer(name, "good", "console", check=True), clock.unix_ms())
    page.goto(f"{url}/review")
    expect(page.locator("#distrusted")).to_contain_text("0 of the last 2 known parts")
    page.goto(url)
    expect(page.get_by_text("The answers of console wait for a second person")).to_be_visible()


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Mark a region of the image, by shares of it."""
    box = page.locator("#image").bounding_box()
    assert box
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    page.mouse.move(left + side * start[0], top + side * start[1])
    page.mouse.down()
    page.mouse.move(left + side * end[0], top + side * end[1], steps=4)
    page.mouse.up()
    expect(page.locator("#region")).to_be_visible()


def test_a_region_is_dragged(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    until(lambda: page.evaluate("document.getElementById('image').naturalWidth > 0"))
    drag(page, (0.1, 0.1), (0.9, 0.9))
    page.keyboard.press("u")
    expect(page.locator("#region")).to_be_hidden()
    drag(page, (0.25, 0.25), (0.75, 0.5))
    page.keyboard.press("d")
    page.clock.fast_forward(HELD_MS)
    ledger = line[0].engine.ledger
    until(lambda: len(every_answer(ledger)) == 1)
    (marked,) = every_answer(ledger)
    assert marked.box == pytest.approx((0.25, 0.25, 0.75, 0.5), abs=0.02)


def test_many_are_answered_at_once(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/review")
    page.locator("#queue li").nth(1).click(modifiers=["Shift"])
    page.keyboard.press("d")
    expect(page.locator("#queue li")).to_have_count(1)
    page.clock.fast_forward(HELD_MS)
    until(lambda: len(answers(line[0])) == 2)


def test_answers_survive_a_lost_connection(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    page.context.set_offline(True)
    page.keyboard.press("d")
    page.clock.fast_forward(HELD_MS)
    expect(page.locator("#told")).to_contain_text("1 answer waits for the connection", timeout=10_000)
    assert answers(line[0]) == []
    page.context.set_offline(False)
    until(lambda: len(answers(line[0])) == 1)


def test_news_come_again_after_they_were_refused(page: Page, url: str) -> None:
    page.route("**/events", lambda asked: asked.fulfill(status=503))
    page.goto(url)
    expect(page.locator("#link")).to_contain_text("no connection")
    expect(page.locator("body.stale")).to_have_count(1)
    page.unroute("**/events")
    page.clock.fast_forward(AGAIN_MS)
    expect(page.locator("#link")).to_have_text("live", timeout=15_000)
    expect(page.locator("body.stale")).to_have_count(0)


def test_a_page_that_nobody_sees_holds_no_connection(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    """A browser holds six to a server: the seventh page in it would not even open."""
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    page.on("requestfinished", lambda request: ended.append(request.url))
    page.goto(url)
    expect(page.locator("#part")).to_have_text("part-f612")
    turned = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    turned += " document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(turned, True)
    until(lambda: page.wait_for_timeout(10) or f"{url}/events" in ended)
    line[0].engine.judge(frame("unseen", png(613)))
    page.wait_for_timeout(1_000)
    expect(page.locator("#part")).to_have_text("part-f612")
    page.evaluate(turned, False)
    expect(page.locator("#part")).to_have_text("part-unseen")


def test_answers_are_sent_when_the_page_is_left(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/review")
    expect(page.locator("#lesson")).to_have_text("A lesson comes after 3 more answers.", timeout=10_000)
    expect(page.locator("#queue li")).to_have_count(3)
    page.keyboard.press("d")
    page.get_by_role("link", name="Versions").click()
    until(lambda: len(answers(line[0])) == 1)
    page.goto(f"{url}/review")
    expect(page.locator("#undo")).to_be_disabled(timeout=10_000)
    expect(page.locator("#lesson")).to_have_text("A lesson comes after 2 more answers.", timeout=10_000)
    assert len(answers(line[0])) == 1, "sent again it counts once"


def test_the_second_to_answer_is_told(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    page.goto(f"{url}/review")
    first = page.locator("#queue li").nth(0).get_attribute("data-frame")
    assert first
    page.keyboard.press("g")
    service.streams.send("feedback", {"frame_id": first, "verdict": "defect", "operator": "bert"})
    until(lambda: answers(service) == [(first, "defect", "bert")])
    page.clock.fast_forward(HELD_MS)
    expect(page.locator("#told")).to_contain_text("bert said defect", timeout=10_000)
    assert answers(service) == [(first, "defect", "bert")]


def test_the_scene_is_drawn_with_its_versions(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/drift")
    expect(page.locator("#scene")).to_have_text("stable")
    expect(page.locator("#cards")).to_contain_text("Nothing has changed")
    expect(page.locator(".chart")).to_have_count(15)
    assert page.locator(".chart .signal").count() == 15
    roll_back(line[0].store, line[0].engine.ledger, 1, "eva", clock.unix_ms())
    line[0].notice_versions()
    line[0].streams.send("frames", {"frame_id": "later", "image": png(505)})
    until(lambda: line[0].engine.ledger.frame("later") is not None)
    page.goto(f"{url}/drift?hours=1")
    expect(page.locator(".chart").first).to_contain_text("v2")


@pytest.mark.usefixtures("small")
def test_a_version_is_looked_at_compared_and_brought_back(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    roll_back(service.store, service.engine.ledger, 1, "eva", clock.unix_ms())
    page.goto(f"{url}/versions")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_contain_text("judges")
    roll_back(service.store, service.engine.ledger, 2, "eva", clock.unix_ms())
    expect(page.locator("tbody tr")).to_have_count(3, timeout=10_000)
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.locator("h1")).to_have_text("Version 1")
    until(lambda: page.evaluate("[...document.querySelectorAll('.many img')].every((i) => i.naturalWidth > 0)"))
    assert page.locator(".many img").count() == 16
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#told")).to_contain_text("None of the newest 4 kept parts", timeout=20_000)
    page.get_by_role("button", name="Go back to version 1").click()
    page.get_by_role("button", name="Stay").click()
    assert service.store.newest_number() == 3
    page.get_by_role("button", name="Go back to version 1").click()
    page.get_by_role("button", name="Go back", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Version 4 judges now")
    assert service.store.current().version.who == "console"


def test_a_lesson_shows_the_defects_that_it_remembers(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    for frame_id in ("f610", "f611"):
        recording.record(service.engine.ledger, recording.answer(frame_id, "defect", "anna"), clock.unix_ms())
    assert isinstance(lesson.learn(service.engine, service.store, "admission"), Version)
    page.goto(f"{url}/versions")
    expect(page.locator("tbody tr").first).to_contain_text("remembers 2 defects")
    expect(page.locator("tbody tr").last).to_contain_text("taught from 16 good parts")
    page.goto(f"{url}/versions/2")
    expect(page.locator("h2:has-text('Remembered')")).to_be_visible()
    until(lambda: page.evaluate("document.querySelectorAll('[aria-label=Remembered] img')[1].naturalWidth > 0"))
    page.locator("[aria-label=Remembered] a").first.click()
    expect(page.locator("h1")).to_contain_text("part-f61")


def test_what_going_back_would_make_worse_is_shown_in_red(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    for frame_id in ("f610", "f611", "f612"):
        recording.record(service.engine.ledger, recording.answer(frame_id, "good", "anna"), clock.unix_ms())
    learned = lesson.learn(service.engine, service.store, "admission")
    assert isinstance(learned, Version)
    assert learned.added
    page.goto(f"{url}/versions/1")
    page.get_by_role("button", name="Compare").click()
    worse = page.locator("#differ li", has_text=f"part-{learned.added[0]}")
    expect(worse).to_have_class("NG", timeout=20_000)
    expect(worse).to_contain_text("OK → NG")
    expect(worse).to_contain_text("people call it good: worse")
    worse.locator("a").click()
    expect(page.locator("h1")).to_contain_text(f"part-{learned.added[0]}")


def test_the_threshold_is_dragged_and_judges(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    page.goto(f"{url}/threshold")
    expect(page.locator("#line")).to_have_attribute("max", "16")
    expect(page.locator("#rejects")).to_have_text("10.0 %")  # as the settings ask for
    expect(page.locator("#found")).to_have_text("none known")
    expect(page.locator("#recall-range")).to_contain_text("How many are missed is not known")
    before = page.locator("#value").inner_text()
    expect(page.locator("#use")).to_be_disabled()
    box = page.locator("#plot").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 50)
    page.mouse.down()
    assert page.locator("#value").inner_text() == before, "the highest that can be promised"
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 50, steps=5)
    page.mouse.up()
    assert page.locator("#value").inner_text() < before
    lowest = page.locator("#rejects").inner_text()
    page.locator("#line").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#rejects").inner_text() != lowest
    wanted = page.locator("#value").inner_text()
    page.get_by_role("button", name="Judge at this threshold").click()
    expect(page.locator("#sure-told")).to_contain_text("false rejects are asked for, instead of")
    page.get_by_role("button", name="Judge at it").click()
    expect(page.locator("#told")).to_contain_text("Version 2 judges")
    line[0].notice_versions()
    engine = line[0].engine
    assert engine.active is not None
    assert f"{engine.active.threshold.value:.4f}" == wanted


@pytest.mark.usefixtures("small")
def test_a_line_is_taught_checked_and_goes_live(
    page: Page, url: str, line: tuple[Service, Settings], good_parts: Path, tmp_path: Path
) -> None:
    (good_parts / "torn.png").write_bytes(b"no image")
    known = tmp_path / "known"
    known.mkdir()
    for number in (610, 611):
        (known / f"burr{number}.png").write_bytes(png(number, STEADY, Flaw.BURR))
    page.goto(f"{url}/setup")
    expect(page.locator("#live")).to_be_disabled()
    page.locator("#goods").set_input_files(good_parts)
    expect(page.locator("#told")).to_have_text("17 images.")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#told")).to_contain_text("16 parts by patch-bank", timeout=20_000)
    expect(page.locator("#refused")).to_contain_text("torn.png")
    assert line[0].store.newest_number() == 1
    page.locator("#known").set_input_files(known)
    expect(page.locator("#checked")).to_contain_text("2 of 2 known defects are found", timeout=10_000)
    until(lambda: page.evaluate("[...document.querySelectorAll('#shown img')].every((i) => i.naturalWidth > 0)"))
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#live-told")).to_have_text("Version 2 judges from now on.")
    line[0].notice_versions()
    assert line[0].status()["version"] == 2


@pytest.mark.usefixtures("small", "trained_briefly")
def test_a_draft_that_misses_defects_says_so_and_is_taught_otherwise(
    page: Page, url: str, line: tuple[Service, Settings], good_parts: Path, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    known.mkdir()
    for name, data in (("burr", png(610, STEADY, Flaw.BURR)), ("faint", png(700))):
        (known / f"{name}.png").write_bytes(data)
    page.goto(f"{url}/setup")
    page.locator("#goods").set_input_files(good_parts)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#told")).to_contain_text("16 parts by patch-bank", timeout=20_000)
    page.locator("#known").set_input_files(known)
    expect(page.locator("#checked")).to_contain_text("1 of 2 known defects are found", timeout=10_000)
    missed = page.locator("#shown li", has_text="faint.png")
    expect(missed).to_have_class("NG")
    expect(missed).to_contain_text("MISSED")
    expect(page.locator("#shown li", has_text="burr.png")).to_have_class("OK")
    expect(page.locator("#advised")).to_contain_text("Draw the region")
    page.get_by_role("button", name="Try what would find more").click()
    expect(page.locator("#ways tr", has_text="by padim")).to_be_visible(timeout=60_000)
    expect(page.locator("#remedies")).to_be_enabled(timeout=60_000)
    page.locator("#ways tr", has_text="by padim").get_by_role("button").click()
    expect(page.locator("#told")).to_contain_text("16 parts by padim", timeout=20_000)
    expect(page.locator("#checked")).to_contain_text("of 2 known defects", timeout=10_000)
    page.get_by_role("button", name="Go live").click()
    page.get_by_role("button", name="Stay").click()
    assert line[0].store.newest_number() == 1
    page.get_by_role("button", name="Go live", exact=True).click()
    page.get_by_role("button", name="Go live all the same").click()
    expect(page.locator("#live-told")).to_have_text("Version 2 judges from now on.")


@pytest.mark.usefixtures("small")
def test_a_folder_of_several_folders_is_told(page: Page, url: str, good_parts: Path, tmp_path: Path) -> None:
    """A whole data set, with its tests and masks, is no folder of good parts."""
    for name in ("train", "test", "masks"):
        shutil.copytree(good_parts, tmp_path / "set" / name)
    page.goto(f"{url}/setup")
    page.locator("#goods").set_input_files(tmp_path / "set")
    expect(page.locator("#told")).to_contain_text("They lie in 3 folders (set/masks, set/test, set/train)")


@pytest.mark.usefixtures("small")
def test_the_oddest_parts_are_looked_at_and_left_out(page: Page, url: str, good_parts: Path) -> None:
    (good_parts / "bad.png").write_bytes(png(610, STEADY, Flaw.BURR))
    page.goto(f"{url}/setup")
    page.locator("#goods").set_input_files(good_parts)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#odd-told")).to_contain_text("1 of 17 parts look unlike the others", timeout=20_000)
    expect(page.locator("#without")).to_be_disabled()
    first = page.locator("#odd li").first
    expect(first).to_contain_text("bad.png")
    until(lambda: page.evaluate("document.querySelector('#odd img').naturalWidth > 0"))
    first.click()
    page.get_by_role("button", name="Teach without the marked parts").click()
    expect(page.locator("#told")).to_contain_text("16 parts (1 of 17 images refused)", timeout=20_000)
    expect(page.locator("#odd-told")).to_contain_text("the oddest parts")
    expect(page.locator("#refused")).to_contain_text("bad.png: left out on request")
    page.reload()
    expect(page.locator("#told")).to_contain_text("16 parts")
    page.get_by_role("button", name="Teach in this region").click()
    expect(page.locator("#region-told")).to_contain_text("16 parts", timeout=20_000)


def test_a_stranger_logs_in_and_sees_what_the_role_may_do(
    page: Page, line: tuple[Service, Settings], real_redis: RealRedis, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.json"
    token = grant(file, "vera", Role.VIEWER)
    with served(line[1], real_redis.client(), ConsoleSettings(tokens=file)) as url:
        page.goto(f"{url}/versions")
        expect(page).to_have_url(f"{url}/login")
        page.get_by_label("Your token").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#told")).to_contain_text("not known")
        page.get_by_label("Your token").fill(token)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("header")).to_contain_text("vera, viewer")
        expect(page.locator("nav")).not_to_contain_text("Setup")
        page.goto(f"{url}/review")
        expect(page.locator("#queue li")).to_have_count(3)
        expect(page.locator("#told")).to_contain_text("Answers take an operator")
        page.keyboard.press("d")
        expect(page.locator("#defect")).to_be_disabled()
        expect(page.locator("#queue li")).to_have_count(3)
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(f"{url}/login")


def test_a_version_says_what_it_was_taught_and_what_it_made_of_the_next_parts(
    page: Page, url: str, line: tuple[Service, Settings]
) -> None:
    service = line[0]
    held = lesson.learn(service.engine, service.store, "test")
    assert isinstance(held, Hold)
    page.goto(f"{url}/versions")
    expect(page.locator("main")).to_contain_text(held.reason)
    page.goto(f"{url}/versions/1")
    expect(page.locator("#version")).to_contain_text("of 4 parts 3 flagged; 0 of these called good, 0 a defect")
    expect(page.locator("main")).to_contain_text("patches of these parts that it did not hold before")


def test_a_phone_shows_all_of_every_page(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (
        "",
        "review",
        "parts",
        "parts/1",
        "drift",
        "versions",
        "versions/1",
        "threshold",
        "reports",
        "studies",
        "setup",
    ):
        page.goto(f"{url}/{path}")
        expect(page.locator("#link")).to_have_text("live")
        assert asked(page, "document.scrollingElement.scrollWidth") <= 390, path


def test_all_times_are_those_of_the_browser_s_clock(browser: Browser, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    service.engine.ledger.event(clock.unix_ms(), "regime", since_ms=clock.unix_ms(), regime=1)
    made = datetime.fromisoformat(service.store.current().version.created_at)
    with closing(browser.new_context(timezone_id="Asia/Kolkata")) as context:
        page = context.new_page()
        for path in ("versions", "versions/1", "drift", "parts", "parts/1", "reports"):
            page.goto(f"{url}/{path}")
            expect(page.locator("#link")).to_have_text("live")
            assert asked(page, "document.querySelector('main').innerText.includes('UTC')") is False
        page.goto(f"{url}/versions/1")
        there = made.astimezone(ZoneInfo("Asia/Kolkata"))
        expect(page.locator("main time").first).to_have_text(f"{there:%Y-%m-%d %H:%M}")
        expect(page.locator("main time").first).to_have_attribute("title", f"{made:%Y-%m-%d %H:%M} UTC")


@pytest.mark.usefixtures("line")
def test_a_page_of_what_is_compensated_is_not_drawn_anew_again_and_again(
    page: Page, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    light = asdict(notices(replace(CALM, changes=(Change(Cause.LIGHT, 1_795_900_000_000, "light +18 %", 4.0),)))[0])
    scene = {"trust": "compensating", "light_percent": 18.0, "regime": None, "cards": [light]}
    monkeypatch.setattr("daemon.console.status_view._scene", lambda _: scene)
    page.goto(f"{url}/drift")
    expect(page.locator("#cards h2")).to_have_text("Light: light +18 %")
    expect(page.locator("#link")).to_have_text("live")
    page.evaluate("window.first = true")
    page.wait_for_timeout(5_000)  # two statuses
    assert page.evaluate("window.first") is True
