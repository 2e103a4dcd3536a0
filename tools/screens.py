"""The README's screenshots: its tour, driven in a browser, on a line of its own.

usage: python -m tools.screens [OUT]    (docs/pictures by default; needs redis-server, chromium and the folder demo/)

Every page is photographed at 1280x800 and on a phone of 390 px; the latter are named console-PAGE-phone.png.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from bench.lib.processes import DRIFTLINE, ROOT, free_port, redis_server, running, until_open

DEMO = ROOT / "demo"
AROUND_THE_PLATE = ((0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94))
PAGES = ("live", "review", "drift", "versions", "version", "threshold", "setup")


def until(holds: Callable[[], bool]) -> None:
    """Wait for something for two minutes at most."""
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise TimeoutError("it did not come to pass")


def count(page: Page, what: str) -> int:
    """How many of something the API lists."""
    return int(page.evaluate(f"fetch('/api/{what}').then((reply) => reply.json()).then((list) => list.length)"))


def draw(page: Page, corners: Sequence[tuple[float, float]]) -> None:
    """Draw a polygon on the part, by shares of its picture."""
    page.locator("#taught").scroll_into_view_if_needed()
    until(lambda: bool(page.evaluate("document.getElementById('taught').naturalWidth > 0")))
    box = page.locator("#taught").bounding_box()
    assert box  # noqa: S101  # it was scrolled into view
    for x, y in corners:
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.keyboard.press("Enter")


def tour(page: Page, url: str, inbox: Path, photograph: Callable[[str], None]) -> None:
    """What the README asks a new user to do."""
    page.goto(f"{url}/setup")
    page.locator("#goods").set_input_files(DEMO / "good-parts")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#told")).to_contain_text("60 parts", timeout=240_000)
    draw(page, AROUND_THE_PLATE)
    page.get_by_role("button", name="Teach in this region").click()
    expect(page.locator("#region-told")).to_contain_text("60 parts", timeout=240_000)
    page.locator("#known").set_input_files(DEMO / "known-defects")
    expect(page.locator("#checked")).to_contain_text("of 8 known defects", timeout=60_000)
    page.locator("#step-region").evaluate("(step) => step.scrollIntoView()")
    photograph("setup")
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#live-told")).to_contain_text("Version 1")
    page.goto(url)
    until(lambda: page.locator("#version").inner_text() == "1")
    parts = sorted((DEMO / "parts").iterdir())
    for part in parts:
        shutil.copy(part, inbox)
        time.sleep(0.4)
    until(
        lambda: (
            page.evaluate("fetch('/api/frames?limit=100').then((r) => r.json()).then((f) => f.length)") == len(parts)
        )
    )
    page.goto(f"{url}/review")
    expect(page.locator("#queue li").first).to_be_visible()
    photograph("review")
    for _ in range(page.locator("#queue li").count()):
        name = page.locator("#asked").inner_text().split("-")[-1]
        page.keyboard.press("d" if int(name) % 4 == 3 else "g")
        page.wait_for_timeout(100)
    until(lambda: page.locator("#undo").is_disabled())
    until(lambda: count(page, "versions") > 1)
    shutil.copy(DEMO / "parts" / "part-4011.png", inbox / "part-9005.png")
    page.goto(url)
    expect(page.locator("#part")).to_have_text("part-9005", timeout=20_000)
    photograph("live")
    for name, path in {"drift": "drift?hours=1", "versions": "versions", "version": "versions/1"}.items():
        page.goto(f"{url}/{path}")
        if name == "version":
            page.get_by_role("button", name="Compare").click()
            expect(page.locator("#told")).to_contain_text("judged differently", timeout=120_000)
        photograph(name)
    page.goto(f"{url}/threshold")
    expect(page.locator("#value")).not_to_have_text("—")
    page.locator("#line").focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    photograph("threshold")


def main() -> None:
    """Take the tour and photograph it."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    out.mkdir(parents=True, exist_ok=True)
    console = free_port()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as processes, sync_playwright() as playwright:
        root = Path(folder)
        settings = {
            "state_dir": str(root / "state"),
            "redis": {"url": f"redis://127.0.0.1:{processes.enter_context(redis_server(root))}/0"},
            "source": {"kind": "folder", "folder": str(root / "inbox")},
            "schedule": {"admission_s": 5, "snapshot_s": 1},
            "policy": {"lesson_after": 5},
            "console": {"port": console},
        }
        config = root / "config.yaml"
        config.write_text(json.dumps(settings))
        for command in ("run", "console"):
            processes.enter_context(running([*DRIFTLINE, command, "-c", config], root / f"{command}.log"))
        url = f"http://127.0.0.1:{console}"
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})

        def photograph(name: str) -> None:
            for suffix, size in {"": (1280, 800), "-phone": (390, 844)}.items():
                page.set_viewport_size({"width": size[0], "height": size[1]})
                page.wait_for_timeout(700)
                page.screenshot(path=out / f"console-{name}{suffix}.png", full_page=bool(suffix))
            page.set_viewport_size({"width": 1280, "height": 800})

        until_open(console)
        until((root / "inbox").exists)
        tour(page, url, root / "inbox", photograph)
        browser.close()


if __name__ == "__main__":
    main()
