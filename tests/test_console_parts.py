"""Parts in a browser: looked up, answered for, and answers about them taken back."""

from __future__ import annotations

from pathlib import Path

import browsing
import pytest
from browsing import served
from conftest import NOW_MS, frame
from pictures import png
from playwright.sync_api import Page, Route, expect
from servers import RealRedis, until

from daemon.console.access import Role, grant
from daemon.learning import answers as recording
from daemon.ledger.answers import every_answer, standing_on
from daemon.ledger.studies import plan, ratings
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from policies.verdict import Label

pytestmark = [pytest.mark.redis, pytest.mark.slow]
browser, page, url = browsing.browser, browsing.page, browsing.url
line, small, wire = browsing.line, browsing.small, browsing.wire
HELD_MS = 4_000  # review.js


def standing(service: Service) -> list[tuple[str, str]]:
    ids = sorted({one.frame_id for one in every_answer(service.engine.ledger)})
    return [(each.frame_id, each.label) for name in ids for each in standing_on(service.engine.ledger, name)]


def test_an_escape_is_reported_from_live(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    """The part that was passed is opened, marked and called a defect; then that is taken back."""
    service = line[0]
    page.goto(url)
    page.locator("#strip li").last.click()
    expect(page.locator("h1")).to_contain_text("f500")
    expect(page.locator(".verdict")).to_have_text("OK")
    page.locator("#image").wait_for()
    box = page.locator("#stage").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6)
    page.mouse.up()
    page.click("#defect")
    expect(page.locator("tbody tr").first).to_contain_text("defect", timeout=10_000)
    (said,) = every_answer(service.engine.ledger)
    assert (said.frame_id, said.label) == ("f500", "defect")
    assert said.box is not None
    page.click("#withdraw")
    expect(page.locator("tbody tr").first).to_contain_text("taken back by console", timeout=10_000)
    expect(page.locator("#withdraw")).to_be_hidden()
    assert standing(service) == []


def test_somebody_else_s_answer_is_told_before_it_is_contradicted(
    page: Page, url: str, line: tuple[Service, Settings]
) -> None:
    service = line[0]
    service.streams.send("feedback", {"part_id": "f610", "verdict": "defect", "operator": "bert"})
    until(lambda: standing(service) == [("f610", "defect")])
    page.goto(f"{url}/parts?name=f610")
    expect(page.locator("h1")).to_contain_text("f610")
    page.click("#good")
    expect(page.locator("#told")).to_contain_text("bert said defect")
    expect(page.locator("#told")).to_contain_text("Press again to say otherwise")
    page.click("#good")
    expect(page.locator("tbody tr")).to_have_count(2, timeout=10_000)
    expect(page.locator("tbody")).to_contain_text("people differ")


@pytest.mark.usefixtures("line")
def test_parts_are_found_by_verdict_time_and_id(page: Page, url: str) -> None:
    page.goto(f"{url}/parts")
    expect(page.locator(".strip li")).to_have_count(4)
    page.select_option("[name=verdict]", "NG")
    page.click("button:has-text('Find')")
    expect(page.locator(".strip li")).to_have_count(3)
    page.fill("#until", "2020-01-01T00:00")
    page.click("button:has-text('Find')")
    expect(page.locator("main")).to_contain_text("No such part is on record")
    expect(page.locator("#until")).to_have_value("2020-01-01T00:00")
    page.goto(f"{url}/parts")
    page.fill("input[name=name]", "f500")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("f500")


def test_a_whole_run_is_taken_back_after_it_was_sent(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    page.keyboard.down("Shift")
    page.locator("#queue li").nth(1).click()
    page.keyboard.up("Shift")
    page.keyboard.press("g")
    expect(page.locator("#queue li")).to_have_count(1)
    page.clock.fast_forward(HELD_MS)
    until(lambda: len(standing(service)) == 2)
    page.keyboard.press("u")
    until(lambda: standing(service) == [])
    expect(page.locator("#queue li")).to_have_count(3)
    expect(page.locator("#undo")).to_be_disabled()


def test_ten_answers_are_taken_back_one_after_the_other(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    expect(page.locator("#question")).to_have_text("It was rejected. Is it a defect?")
    for left in (2, 1, 0):
        page.keyboard.press("d")
        expect(page.locator("#queue li")).to_have_count(left)
    page.clock.fast_forward(HELD_MS)
    until(lambda: len(standing(service)) == 3)
    for left in (1, 2, 3):
        page.keyboard.press("u")
        expect(page.locator("#queue li")).to_have_count(left)
    until(lambda: standing(service) == [])


def test_a_part_without_a_picture_says_so(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    torn = line[0].engine.judge(frame("torn", b"no image"))
    line[0].engine.judge(frame("f501", png(501)))
    page.goto(f"{url}/parts/{torn.seq}")
    expect(page.locator("#nothing")).to_be_visible()
    expect(page.locator(".verdict")).to_have_text("UNKNOWN")


def test_a_shift_is_shown_and_taken_away_as_it_is_shown(page: Page, url: str) -> None:
    page.goto(f"{url}/reports")
    expect(page.locator("main")).to_contain_text("Frames judged")
    assert page.locator(".figures b").first.inner_text() == "4"
    page.fill("#since", "2020-01-01T06:00")
    page.fill("#until", "2020-01-01T14:00")
    page.click("button:has-text('Show')")
    expect(page.locator(".figures b").first).to_have_text("0")
    expect(page.locator("#since")).to_have_value("2020-01-01T06:00")
    page.click(".tabs a:has-text('24 hours')")
    expect(page.locator(".figures b").first).to_have_text("4")
    with page.expect_download() as taken:
        page.click("text=CSV")
    assert taken.value.path().read_text().startswith("what,")
    page.click("text=One file")
    expect(page.locator("h1")).to_have_text("Line test")
    expect(page.locator(".figures b").first).to_have_text("4")


def test_a_study_is_planned_and_rated_by_key(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    service.engine.judge(frame("f501", png(501)))
    for frame_id, label in (("f500", "good"), ("f501", "good"), ("f610", "defect"), ("f611", "defect")):
        recording.record(service.engine.ledger, recording.answer(frame_id, label, "carl"), NOW_MS)
    page.goto(f"{url}/studies")
    page.fill("input[name=name]", "autumn")
    page.fill("input[name=operators]", "anna")
    page.fill("input[name=parts]", "4")
    page.fill("input[name=trials]", "1")
    page.click("button:has-text('Plan')")
    page.click("text=Rate as anna")
    expect(page.locator("#place")).to_have_text("1 of 4, trial 1")
    assert page.locator(".NG, .OK").count() == 0, "the line's verdict is not shown"
    image = page.locator("#image")
    expect(image).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("u")
    expect(page.locator("#place")).to_have_text("1 of 4, trial 1")
    for place in (2, 3, 4):
        expect(image).to_be_visible()
        page.keyboard.press("d")
        expect(page.locator("#place")).to_have_text(f"{place} of 4, trial 1")
    expect(image).to_be_visible()
    page.keyboard.press("d")
    expect(page.locator("#nothing")).to_have_text("All rated. Thank you.")
    until(lambda: len(ratings(service.engine.ledger, 1)) == 4)
    page.click("text=The study")
    expect(page.locator("main")).to_contain_text("anna is done")
    expect(page.locator("tbody")).to_contain_text("not acceptable")


def test_an_answer_on_its_way_is_taken_back_after_it_arrived(
    page: Page, url: str, line: tuple[Service, Settings]
) -> None:
    service, held = line[0], list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/answers", hold)
    page.goto(f"{url}/review")
    expect(page.locator("#queue li")).to_have_count(3)
    page.keyboard.press("g")
    page.clock.fast_forward(HELD_MS)
    until(lambda: page.wait_for_timeout(10) or held)
    page.keyboard.press("u")
    page.wait_for_timeout(300)
    assert standing(service) == []
    held[0].continue_()
    expect(page.locator("#told")).to_contain_text("taken back", timeout=10_000)
    until(lambda: [one.revoked_by for one in every_answer(service.engine.ledger)] == ["console"])


def test_whoever_is_asked_is_not_told_what_others_said(
    page: Page, line: tuple[Service, Settings], real_redis: RealRedis, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.json"
    secret = grant(tokens, "anna", Role.OPERATOR)
    with served(line[1], real_redis.client(), ConsoleSettings(tokens=tokens)) as root:
        page.goto(root)
        page.fill("#token", secret)
        page.click("text=Log in >> visible=true")
        expect(page.locator("#strip li")).to_have_count(4)
        page.goto(f"{root}/parts/2")
        expect(page.locator("main")).to_contain_text("shown once you have answered")
        page.click("#good")
        expect(page.locator("tbody tr").first).to_contain_text("anna", timeout=10_000)


def test_no_part_is_rated_by_the_picture_of_the_one_before(
    page: Page, url: str, line: tuple[Service, Settings]
) -> None:
    plan(line[0].engine.ledger, NOW_MS, "eva", "autumn", 1, ["anna"], {"f500": Label.GOOD, "f611": Label.DEFECT})
    page.goto(f"{url}/studies/1/rate?as=anna")
    expect(page.locator("#image")).to_be_visible()
    pictures: list[Route] = []

    def hold(route: Route) -> None:
        pictures.append(route)

    page.route("**/frames/**", hold)
    page.keyboard.press("g")
    expect(page.locator("#place")).to_have_text("2 of 2, trial 1")
    expect(page.locator("#image")).to_be_hidden()
    page.keyboard.press("d")
    expect(page.locator("#place")).to_have_text("2 of 2, trial 1")
    until(lambda: page.wait_for_timeout(10) or pictures)
    pictures[0].continue_()
    expect(page.locator("#image")).to_be_visible()
    page.keyboard.press("d")
    expect(page.locator("#nothing")).to_have_text("All rated. Thank you.")


def test_marked_parts_are_answered_and_taken_back_together(
    page: Page, url: str, line: tuple[Service, Settings]
) -> None:
    service = line[0]
    page.goto(f"{url}/parts?verdict=NG")
    expect(page.locator("#marked")).to_be_hidden()
    page.locator(".mark").nth(0).check()
    page.locator(".mark").nth(1).check()
    expect(page.locator("#count")).to_have_text("2 parts are marked")
    page.click("#defect")
    expect(page.locator("#told")).to_have_text("2 answers sent: defect.")
    until(lambda: standing(service) == [("f611", "defect"), ("f612", "defect")])
    page.goto(f"{url}/parts")
    page.get_by_label("answered by me").check()
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".found > li")).to_have_count(2)
    page.locator(".mark").first.check()
    page.click("#every")
    page.click("#withdraw")
    expect(page.locator("#told")).to_have_text("2 answers taken back.")
    until(lambda: standing(service) == [])


def test_of_marked_parts_those_that_are_refused_are_named(page: Page, url: str, line: tuple[Service, Settings]) -> None:
    service = line[0]
    service.streams.send("feedback", {"part_id": "f610", "verdict": "defect", "operator": "bert"})
    until(lambda: standing(service) == [("f610", "defect")])
    page.goto(f"{url}/parts?verdict=NG")
    page.locator(".mark").first.check()
    page.click("#every")
    page.click("#good")
    expect(page.locator("#told")).to_contain_text("2 answers sent: good. f610: not taken. bert said defect")
    until(lambda: len(standing(service)) == 3)
