"""What fifty people who watch cost: the time that scoring takes with the console and its viewers, and without.

usage: python -m bench.console [--viewers 50] [--fps 20] [--seconds 30] [--rounds 5] [--short]

A line of its own with a real Redis: `driftline run` and `driftline console` as processes, frames at a steady rate,
rounds with and without viewers in turns. A viewer does what the page does: it holds the stream of news, and loads the
newest part's image with its anomaly map twice a second. All viewers are one process, which from its start runs only
where a processor is idle, as if on other PCs; a round begins once they all watch. Rounds in which the machine's host
took more than `calm_percent` of its processors for other machines are told and not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import redis

from bench.lib import arguments
from bench.lib.host import processor_s, stolen
from bench.lib.ledger import is_running, timings
from bench.lib.processes import DRIFTLINE, HERE, ROOT, ended, free_port, redis_server, running, start, until_open
from daemon.datasets.rendered import part
from daemon.ledger.ledger import Ledger
from daemon.ledger.state import open_state
from daemon.settings.load import Settings


@dataclass(frozen=True)
class Extent:
    """How many parts are taught and shown, how large, how long the line warms up, and how many percent of the
    processors the host may take in a round that counts."""

    goods: int
    images: int
    input_px: int
    warm_s: float
    calm_percent: float


FULL = Extent(goods=40, images=100, input_px=256, warm_s=5, calm_percent=0.5)
SHORT = Extent(goods=8, images=10, input_px=128, warm_s=1, calm_percent=100)
Round = dict[str, float]


def png(number: int) -> bytes:
    """A rendered part."""
    return cv2.imencode(".png", part(number)[:, :, ::-1])[1].tobytes()


def stream(client: redis.Redis, name: str, images: list[bytes], fps: float, seconds: float) -> dict[str, int]:
    """Frames at a steady rate; when each came into the stream, Unix time in ms."""
    began, sent = time.monotonic(), dict[str, int]()
    while (now := time.monotonic() - began) < seconds:
        if len(sent) / fps <= now:
            frame_id = f"{name}-{len(sent)}"
            fields = {"frame_id": frame_id, "image": images[len(sent) % len(images)]}
            entry = client.xadd("driftline:bench:frames", fields)  # type: ignore[arg-type]  # its annotation is too narrow
            sent[frame_id] = int(entry.split(b"-")[0])
        else:
            time.sleep(len(sent) / fps - now)
    return sent


def times(ledger: Ledger, sent: dict[str, int], name: str) -> Round:
    """p50 and p99 of scoring, and of a frame from its entry in the stream to its verdict's, in ms."""
    frames = timings(ledger, name)
    frames = frames[len(frames) // 10 :]
    scoring = [frame.judge_ms for frame in frames]
    whole = [frame.judged_ms + frame.judge_ms - sent[frame.frame_id] for frame in frames]
    figures = {"frames": float(len(frames))}
    for what, values in {"judge": scoring, "whole": whole}.items():
        for share in (50, 99):
            figures[f"{what} p{share}"] = float(np.percentile(values, share))
    return figures


def main() -> None:
    """Rounds without and with viewers in turns."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--fps", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = arguments.parse(parser, viewers=5, fps=5, seconds=2, rounds=1)
    extent = SHORT if options.short else FULL
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as port:
        report(options, extent, measure(options, extent, Path(name), port))


def measure(options: argparse.Namespace, extent: Extent, root: Path, redis_port: int) -> dict[bool, list[Round]]:
    """The rounds, without and with viewers, of a line in a folder of its own."""
    console_port, log = free_port(), root / "driftline.log"
    (root / "good").mkdir()
    for number in range(extent.goods):
        (root / "good" / f"{number:03d}.png").write_bytes(png(number))
    settings = {
        "line": "bench",
        "state_dir": str(root / "state"),
        "extractor": {"input_px": extent.input_px, "backend": "torch"},
        "redis": {"url": f"redis://127.0.0.1:{redis_port}/0"},
        "console": {"port": console_port},
    }
    config = root / "config.yaml"
    config.write_text(json.dumps(settings))
    ended(start([*DRIFTLINE, "teach", root / "good", "-c", config], log), "driftline teach", log)
    images = [png(1_000 + n) for n in range(extent.images)]
    rounds: dict[bool, list[Round]] = {False: [], True: []}
    with (
        running([*DRIFTLINE, "run", "-c", config], log),
        running([*DRIFTLINE, "console", "-c", config], log) as console_pid,
        redis.Redis(port=redis_port) as client,
    ):
        ledger = open_state(Settings.model_validate(settings).state_dir).ledger
        while not is_running(ledger):
            time.sleep(0.2)
        until_open(console_port)
        stream(client, "warm", images, options.fps, extent.warm_s)
        for number in range(2 * options.rounds):
            watched, name = bool(number % 2), f"round{number}"
            viewers = watching(options, console_port) if watched else None
            pids = (console_pid, viewers.pid) if viewers else (console_pid,)
            before, host = [processor_s(pid) for pid in pids], stolen()
            sent = stream(client, name, images, options.fps, options.seconds)
            spent = [processor_s(pid) - then for pid, then in zip(pids, before, strict=True)]
            took, of = (now - then for now, then in zip(stolen(), host, strict=True))
            time.sleep(1)
            images_shown = int(viewers.communicate()[0]) if viewers else 0
            figures = {"images shown": images_shown, "console": 100 * spent[0], "viewers": 100 * sum(spent[1:])}
            figures["host"] = 100 * took / of
            rounds[watched].append(times(ledger, sent, name) | figures)
            print(name, rounds[watched][-1], file=sys.stderr)
            client.xtrim("driftline:bench:frames", maxlen=0)
    return rounds


def watching(options: argparse.Namespace, console_port: int) -> subprocess.Popen[bytes]:
    """The viewers' process, once all of them watch."""
    command = ["chrt", "--idle", "0", sys.executable, "-m", "bench.lib.viewers"]
    command += [str(console_port), str(options.viewers), str(options.seconds)]
    viewers = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=HERE)
    assert viewers.stdout is not None  # noqa: S101  # it is a pipe
    viewers.stdout.readline()
    return viewers


def report(options: argparse.Namespace, extent: Extent, rounds: dict[bool, list[Round]]) -> None:
    """The medians of the rounds that count, and of what a round with viewers adds to the one before it: within minutes
    this machine's processors change their speed by a third."""
    pairs = [
        pair
        for pair in zip(rounds[False], rounds[True], strict=True)
        if all(figures["host"] <= extent.calm_percent for figures in pair)
    ]
    print(f"{len(pairs)} of {options.rounds} pairs count: in the others the host took this machine's processors.\n")
    if not pairs:
        sys.exit("this machine is too busy to measure anything")
    heads = ("judge p50, ms", "judge p99, ms", "whole p50, ms", "whole p99, ms", "images shown a second")
    print(f"| viewers | {' | '.join(heads)} | console, % of a core | viewers, % of a core |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for count, of_count in zip((0, options.viewers), zip(*pairs, strict=True), strict=True):
        keys = ("judge p50", "judge p99", "whole p50", "whole p99", "images shown", "console", "viewers")
        values = [float(np.median([figures[key] for figures in of_count])) for key in keys]
        values[-3:] = [value / options.seconds for value in values[-3:]]
        print(f"| {count} | " + " | ".join(f"{v:.1f}" for v in values) + " |")
    added = sorted(with_all["judge p99"] / alone["judge p99"] - 1 for alone, with_all in pairs)
    each = ", ".join(f"{share:+.1%}" for share in added)
    print(f"\nThe viewers add {np.median(added):+.1%} to the p99 of scoring ({each}).")


if __name__ == "__main__":
    main()
