"""Renew the console's pictures in the README: `python docs/pictures/make.py`, after `make demo`.

The demo's line is copied and runs again before a Redis of its own; parts come, and Chromium looks at its pages.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
STARTED_S, ARRIVED_S, DRAWN_MS = 90, 20, 6_000  # *Threshold* waits for the worker
PARTS = 12
SIZE = {"width": 1280, "height": 800}
PAGES = {
    "live": "",
    "review": "review",
    "drift": "drift?hours=168",
    "version": "versions/9",
    "versions": "versions",
    "threshold": "threshold",
    "part": "parts?name=1184",
    "reports": "reports?since_ms={first_ms}",
    "setup": "setup",
}
GERMAN = ("review", "threshold")  # these in German too, as console-PAGE-de.png


def main() -> None:
    """Make them."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, (broker, console) = Path(name), (_free_port(), _free_port())
        shutil.copytree(ROOT / "demo" / "state", folder / "state")
        config = folder / "config.yaml"
        config.write_text(
            f"line: demo\nstate_dir: {folder / 'state'}\nredis: {{url: 'redis://127.0.0.1:{broker}/0'}}\n"
            f"console: {{port: {console}}}\n"
        )
        stack.enter_context(_running("redis-server", "--port", str(broker), "--save", ""))
        for command in ("run", "console"):
            driftline = (sys.executable, "-m", "daemon.cli.main", command, "--config", str(config))
            stack.enter_context(_running(*driftline))
        url = f"http://127.0.0.1:{console}"
        _wait(url)
        frames = redis.Redis(port=broker)
        for part in sorted((ROOT / "demo" / "parts").glob("*.png"))[:PARTS]:
            frames.xadd("driftline:demo:frames", {"frame_id": part.stem, "image": part.read_bytes()})
        time.sleep(ARRIVED_S)
        with urllib.request.urlopen(f"{url}/api/frames?limit=1000") as reply:  # noqa: S310  # our own address
            first_ms = json.load(reply)[-1]["judged_ms"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            wanted = [(page, "en", f"console-{page}.png") for page in PAGES]
            for shown, language, file in [*wanted, *((page, "de", f"console-{page}-de.png") for page in GERMAN)]:
                page = browser.new_page(viewport=SIZE, locale=language)
                page.goto(f"{url}/{PAGES[shown].format(first_ms=first_ms)}")
                page.wait_for_timeout(DRAWN_MS)
                page.screenshot(path=Path(__file__).parent / file)
                page.close()
            browser.close()


def _wait(url: str) -> None:
    until = time.monotonic() + STARTED_S
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(f"{url}/readyz") as reply:  # noqa: S310  # our own address
            if reply.status == 200:  # OK
                return
        time.sleep(1)
    raise TimeoutError(f"nothing is ready at {url}")


@contextmanager
def _running(*command: str) -> Iterator[None]:
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:  # noqa: S603  # our own commands
        yield
        process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
