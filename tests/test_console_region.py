"""The region of interest on the pages, in a browser: drawn on *Setup*, shown on *Live* and *Review*."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import browsing
import pytest
from lessons import judge_by_newest, teach_from
from playwright.sync_api import Browser, Page, expect
from servers import until

from daemon.service import Service
from memory.region import Region

pytestmark = [pytest.mark.redis, pytest.mark.usefixtures("small")]
browser, page, url = browsing.browser, browsing.page, browsing.url
line, small, wire = browsing.line, browsing.small, browsing.wire
CORNERS = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.7), (0.2, 0.7))
RIGHT = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]
LEFT = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]


@pytest.fixture
def in_right(service: Service, good_parts: Path) -> None:
    """The line judges the right half, before anything came."""
    teach_from(service, good_parts, Region.of({"include": [RIGHT]}))
    judge_by_newest(service)


@pytest.fixture
def setup(page: Page, url: str, good_parts: Path) -> Page:
    """*Setup* with a draft that was just taught in the whole image."""
    page.goto(f"{url}/setup")
    teach(page, good_parts)
    return page


def teach(page: Page, good_parts: Path) -> None:
    page.locator("#goods").set_input_files(good_parts)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#told")).to_contain_text("16 parts", timeout=20_000)
    until(lambda: page.evaluate("document.getElementById('taught').naturalWidth > 0"))


def on(page: Page, share: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the part lies in the window."""
    page.locator("#taught").scroll_into_view_if_needed()
    box = page.locator("#taught").bounding_box()
    assert box
    return box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"]


def drawn(page: Page) -> dict[str, Any]:
    """What the field of JSON holds."""
    region: dict[str, Any] = json.loads(page.locator("#json").input_value())
    return region


def polygon(points: object) -> object:
    return pytest.approx(points, abs=0.01)


def drag_by_touch(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    touch = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", [])):
        at = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})


def draft(page: Page) -> Any:
    return page.evaluate("fetch('/api/work').then((reply) => reply.json()).then((told) => told.draft)")


def test_a_region_is_drawn_by_mouse_and_taught(setup: Page) -> None:
    assert draft(setup)["region"] == {}
    for corner in CORNERS:
        setup.mouse.click(*on(setup, corner))
    setup.keyboard.press("Enter")
    setup.get_by_label("ignore here").check()
    for corner in ((0.4, 0.4), (0.6, 0.4)):
        setup.mouse.click(*on(setup, corner))
    setup.mouse.dblclick(*on(setup, (0.5, 0.6)))
    expect(setup.locator("#polygons li")).to_have_count(2)
    (included,), (ignored,) = drawn(setup)["include"], drawn(setup)["ignore"]
    assert [polygon(corner) for corner in CORNERS] == included
    assert [polygon(corner) for corner in ((0.4, 0.4), (0.6, 0.4), (0.5, 0.6))] == ignored
    expect(setup.locator("#region-told")).to_have_text("This region is not taught yet.")
    setup.get_by_role("button", name="Teach in this region").click()
    expect(setup.locator("#region-told")).to_contain_text("16 parts", timeout=20_000)
    assert draft(setup)["region"] == drawn(setup)
    setup.reload()
    expect(setup.locator("#polygons li")).to_have_count(2)
    assert draft(setup)["region"] == drawn(setup)


def test_a_polygon_is_mended_and_removed(setup: Page) -> None:
    for corner in CORNERS[:2]:
        setup.mouse.click(*on(setup, corner))
    setup.get_by_role("button", name="Teach in this region").click()
    expect(setup.locator("#region-told")).to_contain_text("Close the polygon in hand first")
    setup.locator("#drawing").press("Enter")
    expect(setup.locator("#region-told")).to_contain_text("at least three corners")
    setup.locator("#drawing").press("Escape")
    expect(setup.locator(".corner")).to_have_count(0)
    for corner in CORNERS:
        setup.mouse.click(*on(setup, corner))
    setup.mouse.click(*on(setup, CORNERS[0]))
    expect(setup.locator("#polygons li")).to_have_count(1)
    setup.mouse.move(*on(setup, CORNERS[2]))
    setup.mouse.down()
    setup.mouse.move(*on(setup, (0.9, 0.95)), steps=3)
    setup.mouse.up()
    assert drawn(setup)["include"][0][2] == polygon((0.9, 0.95))
    assert len(drawn(setup)["include"][0]) == 4, "to drag a corner adds none"
    setup.get_by_role("button", name="Delete polygon 1").click()
    assert drawn(setup) == {"include": [], "ignore": []}


def test_a_region_is_drawn_by_keyboard(setup: Page) -> None:
    setup.locator("#drawing").focus()
    for keys in (("Space",), ("ArrowRight",) * 10, ("Space",), ("ArrowDown",) * 10, ("Space", "Enter")):
        for key in keys:
            setup.keyboard.press(key)
    assert drawn(setup)["include"] == [[[0.5, 0.5], [0.6, 0.5], [0.6, 0.6]]]
    setup.get_by_label("Corner 1 of polygon 1").press("Shift+ArrowLeft")
    assert drawn(setup)["include"][0][0] == [0.499, 0.5]
    setup.get_by_label("Corner 1 of polygon 1").press("Delete")
    assert drawn(setup)["include"] == []


def test_a_region_is_drawn_by_touch(browser: Browser, url: str, good_parts: Path) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        page.goto(f"{url}/setup")
        teach(page, good_parts)
        for corner in CORNERS:
            page.touchscreen.tap(*on(page, corner))
        page.get_by_role("button", name="Close polygon").tap()
        assert [polygon(corner) for corner in CORNERS] == drawn(page)["include"][0]
        page.get_by_label("the smallest defect", exact=True).check()
        drag_by_touch(page, on(page, (0.3, 0.4)), on(page, (0.8, 0.65)))
        expect(page.locator("#smallest")).to_have_value("16")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 390


def test_the_json_is_edited_and_what_is_no_region_is_refused_in_place(setup: Page) -> None:
    setup.locator("#json").fill(json.dumps({"include": [LEFT]}))
    expect(setup.locator(".corner")).to_have_count(4)
    for text, why in (
        ("{", "Expected JSON"),
        ('{"inside": []}', "the lists include and ignore"),
        ('{"include": [[[0, 0], [1, "a"], [1, 1]]]}', "the lists include and ignore"),
    ):
        setup.locator("#json").fill(text)
        expect(setup.locator("#region-told")).to_contain_text(why)
        expect(setup.locator(".corner")).to_have_count(4)
    crossed = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
    setup.locator("#json").fill(json.dumps({"include": [crossed]}))
    setup.get_by_role("button", name="Teach in this region").click()
    expect(setup.locator("#region-told")).to_contain_text("Expected polygons whose edges do not cross")
    expect(setup.locator("#live")).to_be_enabled()
    assert draft(setup)["region"] == {}, "the draft before is still there"


def test_the_smallest_defect_is_drawn_and_taught(setup: Page) -> None:
    setup.get_by_label("the smallest defect", exact=True).check()
    setup.mouse.move(*on(setup, (0.5, 0.5)))
    setup.mouse.down()
    setup.mouse.move(*on(setup, (0.25, 0.9)), steps=3)
    setup.mouse.up()
    expect(setup.locator("#smallest")).to_have_value("16")  # a quarter of 64 pixels, however large they are shown
    expect(setup.locator("#region-told")).to_contain_text("16 px of the image")
    expect(setup.locator(".corner")).to_have_count(0)
    setup.get_by_role("button", name="Teach in this region").click()
    expect(setup.locator("#region-told")).to_contain_text("judged at 0.44 times their size", timeout=20_000)
    setup.reload()
    expect(setup.locator("#smallest")).to_have_value("16")
    setup.locator("#smallest").fill("-2")
    setup.get_by_role("button", name="Teach in this region").click()
    expect(setup.locator("#region-told")).to_contain_text("a number of pixels")


# The light of the left and of the right half of a picture.
LIGHT = """async (path) => {
  const image = new Image();
  image.src = path;
  await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
  const drawing = canvas.getContext('2d');
  drawing.drawImage(image, 0, 0, 64, 64);
  const light = (x) => drawing.getImageData(x, 0, 24, 64).data.filter((_, at) => at % 4 < 3).reduce((a, b) => a + b);
  return [light(4), light(36)];
}"""


@pytest.mark.parametrize("path", ["", "review"])
@pytest.mark.usefixtures("in_right")
def test_live_and_review_dim_what_was_not_judged(page: Page, url: str, path: str) -> None:
    page.goto(f"{url}/{path}")
    until(lambda: page.evaluate("document.getElementById('image').naturalWidth > 0"))
    shown = page.locator("#image").get_attribute("src")
    assert shown
    before, after = page.evaluate(LIGHT, shown.replace("/heat.", "/image.")), page.evaluate(LIGHT, shown)
    assert after[0] == pytest.approx(0.35 * before[0], rel=0.1)
    assert after[1] > 0.8 * before[1]
