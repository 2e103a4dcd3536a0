"""What a teach by page takes: time, the longest wait without progress, and the memory of the console and its worker.

usage: python -m bench.teach_by_page [--parts 60] [--rounds 3] [--short]

`driftline run` and `driftline console` as processes, and what the page *Setup* does over HTTP: open it, choose a folder
within `choose_s` seconds, send the images, teach, and go live. Times count from the first image that is sent. The last
line is a minute after; the worker ends when ten have passed without a request, since its images may be taught again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx

from bench.lib import arguments
from bench.lib.host import children, memory_mb
from bench.lib.ledger import is_running
from bench.lib.processes import DRIFTLINE, free_port, redis_server, running, until_open
from daemon.cli.worker import IDLE_S
from daemon.datasets.rendered import part
from daemon.ledger.state import open_state
from daemon.settings.load import Settings

POLL_S = 0.1


@dataclass
class Taught:
    """One teach: seconds in all and at most without progress, and the memory at its peak, in MB."""

    took_s: float
    silent_s: float = 0.0
    console_mb: float = 0.0
    worker_mb: float = 0.0


def main() -> None:
    """Some teaches, one after the other."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--parts", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--choose-s", type=float, default=5.0)
    options = arguments.parse(parser, parts=8, rounds=1, choose_s=0.0)
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as port:
        measured(options, Path(name), port)


def measured(options: argparse.Namespace, root: Path, redis_port: int) -> None:
    """Teach a line in a folder of its own, and print the table."""
    port, log, config = free_port(), root / "driftline.log", root / "config.yaml"
    settings = {
        "line": "bench",
        "state_dir": str(root / "state"),
        "extractor": {"backend": "torch"},
        "redis": {"url": f"redis://127.0.0.1:{redis_port}/0"},
        "console": {"port": port},
    }
    config.write_text(json.dumps(settings))
    images = [cv2.imencode(".png", part(number)[:, :, ::-1])[1].tobytes() for number in range(options.parts)]
    print("| teach | s | longest without progress, s | console, MB | its worker, MB |")
    print("| --- | --- | --- | --- | --- |")
    with (
        running([*DRIFTLINE, "run", "-c", config], log),
        running([*DRIFTLINE, "console", "-c", config], log) as console,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        while not is_running(open_state(Settings.model_validate(settings).state_dir).ledger):
            time.sleep(0.2)
        until_open(port)
        for number in range(options.rounds):
            client.get("/setup").raise_for_status()
            time.sleep(options.choose_s)
            one = teach(client, images, console)
            row = (one.took_s, one.silent_s, one.console_mb, one.worker_mb)
            print(f"| {number + 1} | {row[0]:.1f} | {row[1]:.1f} | {row[2]:.0f} | {row[3]:.0f} |", flush=True)
        if not options.short:
            time.sleep(IDLE_S + 5)
        left = sum(memory_mb(pid) for pid in children(console))
        print(f"| a minute later | | | {memory_mb(console):.0f} | {left:.0f} |")


def teach(client: httpx.Client, images: list[bytes], console: int) -> Taught:
    """Send images, teach them and go live, as the page does."""
    began_s = time.monotonic()
    batch = client.post("/api/setup/begin").json()["batch"]
    for number, image in enumerate(images):
        client.put(f"/api/setup/images?batch={batch}&name={number}.png", content=image).raise_for_status()
    client.post("/api/setup/teach", json={"batch": batch}).raise_for_status()
    one, told, told_s = Taught(0.0), None, time.monotonic()
    while True:
        now = client.get("/api/work").json()
        work = now["work"]
        one.console_mb = max(one.console_mb, memory_mb(console))
        one.worker_mb = max(one.worker_mb, sum(memory_mb(pid) for pid in children(console)))
        if (work["step"], work["done"]) != told or work["ended"]:
            one.silent_s = max(one.silent_s, time.monotonic() - told_s)
            told, told_s = (work["step"], work["done"]), time.monotonic()
        if work["ended"]:
            break
        time.sleep(POLL_S)
    if work["error"]:
        raise SystemExit(work["error"])
    one.took_s = time.monotonic() - began_s
    client.post("/api/setup/live", json={"draft": now["draft"]["id"]}).raise_for_status()
    return one


if __name__ == "__main__":
    main()
