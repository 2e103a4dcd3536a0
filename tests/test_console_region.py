"""The region of interest on the pages, in a browser: drawn on *Setup*, shown on *Live* and *Review*."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browsing
import cv2
import fakeredis
import pytest
from browsing import served
from conftest import line_in, render
from lessons import judge_by_newest, teach_from
from pictures import file_of
from playwright.sync_api import Browser, Page, expect
from servers import until

from daemon import build
from daemon.datasets.rendered import part
from daemon.service import Service
from daemon.settings.models import ConsoleSettings
from memory.extract import Extractor
from memory.region import Region

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.usefixtures("small")]
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


@pytest.fixture(scope="module")
def drafted(
    taught: Path, extractor: Extractor, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The console of a line with a draft in the whole image, for tests that change nothing but the page."""
    folder = tmp_path_factory.mktemp("drafted")
    settings = line_in(folder)
    shutil.copytree(taught, settings.state_dir)
    with pytest.MonkeyPatch.context() as patch, served(settings, fakeredis.FakeRedis(), ConsoleSettings()) as address:
        patch.setattr(build, "extractor", lambda _: extractor)
        page = browser.new_page()
        page.goto(f"{address}/setup")
        teach(page, render(folder / "good"))
        page.close()
        yield address


@pytest.fixture
def drawing(page: Page, drafted: str) -> Page:
    """*Setup* with that draft."""
    page.goto(f"{drafted}/setup")
    shown(page)
    return page


@pytest.fixture
def setup(page: Page, url: str, good_parts: Path) -> Page:
    """*Setup* with a draft of its own that was just taught in the whole image."""
    page.goto(f"{url}/setup")
    teach(page, good_parts)
    return page


def teach(page: Page, good_parts: Path) -> None:
    page.locator("#goods").set_input_files(good_parts)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#told")).to_contain_text("16 parts", timeout=20_000)
    shown(page)


def shown(page: Page) -> None:
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


def test_a_polygon_is_mended_and_removed(drawing: Page) -> None:
    for corner in CORNERS[:2]:
        drawing.mouse.click(*on(drawing, corner))
    drawing.get_by_role("button", name="Teach in this region").click()
    expect(drawing.locator("#region-told")).to_contain_text("Close the polygon in hand first")
    drawing.locator("#drawing").press("Enter")
    expect(drawing.locator("#region-told")).to_contain_text("at least three corners")
    drawing.locator("#drawing").press("Escape")
    expect(drawing.locator(".corner")).to_have_count(0)
    for corner in CORNERS:
        drawing.mouse.click(*on(drawing, corner))
    drawing.mouse.click(*on(drawing, CORNERS[0]))
    expect(drawing.locator("#polygons li")).to_have_count(1)
    drawing.mouse.move(*on(drawing, CORNERS[2]))
    drawing.mouse.down()
    drawing.mouse.move(*on(drawing, (0.9, 0.95)), steps=3)
    drawing.mouse.up()
    assert drawn(drawing)["include"][0][2] == polygon((0.9, 0.95))
    assert len(drawn(drawing)["include"][0]) == 4, "to drag a corner adds none"
    drawing.get_by_role("button", name="Delete polygon 1").click()
    assert drawn(drawing) == {"include": [], "ignore": []}


def test_a_region_is_drawn_by_keyboard(drawing: Page) -> None:
    drawing.locator("#drawing").focus()
    for keys in (("Space",), ("ArrowRight",) * 10, ("Space",), ("ArrowDown",) * 10, ("Space", "Enter")):
        for key in keys:
            drawing.keyboard.press(key)
    assert drawn(drawing)["include"] == [[[0.5, 0.5], [0.6, 0.5], [0.6, 0.6]]]
    drawing.get_by_label("Corner 1 of polygon 1").press("Shift+ArrowLeft")
    assert drawn(drawing)["include"][0][0] == [0.499, 0.5]
    drawing.get_by_label("Corner 1 of polygon 1").press("Delete")
    assert drawn(drawing)["include"] == []


def test_a_region_is_drawn_by_touch(browser: Browser, drafted: str) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        page.goto(f"{drafted}/setup")
        shown(page)
        for corner in CORNERS:
            page.touchscreen.tap(*on(page, corner))
        page.get_by_role("button", name="Close polygon").tap()
        assert [polygon(corner) for corner in CORNERS] == drawn(page)["include"][0]
        page.get_by_label("the smallest defect", exact=True).check()
        drag_by_touch(page, on(page, (0.3, 0.4)), on(page, (0.8, 0.65)))
        expect(page.locator("#smallest")).to_have_value("16")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 390


def test_the_json_is_edited_and_what_is_no_region_is_refused_in_place(drawing: Page) -> None:
    drawing.locator("#json").fill(json.dumps({"include": [LEFT]}))
    expect(drawing.locator(".corner")).to_have_count(4)
    for text, why in (
        ("{", "Expected JSON"),
        ('{"inside": []}', "the lists include and ignore"),
        ('{"include": [[[0, 0], [1, "a"], [1, 1]]]}', "the lists include and ignore"),
    ):
        drawing.locator("#json").fill(text)
        expect(drawing.locator("#region-told")).to_contain_text(why)
        expect(drawing.locator(".corner")).to_have_count(4)
    crossed = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
    drawing.locator("#json").fill(json.dumps({"include": [crossed]}))
    drawing.get_by_role("button", name="Teach in this region").click()
    expect(drawing.locator("#region-told")).to_contain_text("Expected polygons whose edges do not cross")
    expect(drawing.locator("#live")).to_be_enabled()
    assert draft(drawing)["region"] == {}, "the draft before is still there"


def test_the_smallest_defect_is_drawn_and_taught(page: Page, url: str, tmp_path: Path) -> None:
    for number in range(16):
        large = cv2.resize(part(number), (128, 128), interpolation=cv2.INTER_AREA)
        (tmp_path / f"{number}.png").write_bytes(file_of(large))
    page.goto(f"{url}/setup")
    teach(page, tmp_path)
    page.get_by_label("the smallest defect", exact=True).check()
    page.mouse.move(*on(page, (0.5, 0.5)))
    page.mouse.down()
    page.mouse.move(*on(page, (0.422, 0.9)), steps=3)
    page.mouse.up()
    expect(page.locator("#smallest")).to_have_value("10")  # of 128 pixels, however large they are shown
    expect(page.locator("#region-told")).to_contain_text("10 px of the image")
    expect(page.locator(".corner")).to_have_count(0)
    page.get_by_role("button", name="Teach in this region").click()
    expect(page.locator("#region-told")).to_contain_text("judged at 0.69 times their size", timeout=20_000)
    page.reload()
    expect(page.locator("#smallest")).to_have_value("10")
    page.locator("#smallest").fill("-2")
    page.get_by_role("button", name="Teach in this region").click()
    expect(page.locator("#region-told")).to_contain_text("a number of pixels")


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
