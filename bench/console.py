"""What fifty people who watch cost: the time that scoring takes with the console and its viewers, and without.

usage: python bench/console.py [--viewers 50] [--fps 20] [--seconds 30] [--rounds 5]

A line of its own with a real Redis: `driftline run` and `driftline console` as processes, frames at a steady rate,
rounds with and without viewers in turns. A viewer does what the page does: it holds the stream of news, and loads the
newest part's image with its anomaly map twice a second. All viewers are one process, which from its start runs only
where a processor is idle, as if on other PCs; a round begins once they all watch. Rounds in which the machine's host
took more than `CALM_PERCENT` of its processors for other machines are told and not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import redis

from daemon.ledger.frames import newest_frames
from daemon.ledger.state import open_state

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.speed import stolen
from daemon.datasets.rendered import part
from daemon.ledger.ledger import Ledger
from daemon.settings.load import Settings

GOODS = 40
SHOWN_EVERY_S = 0.5
CONNECTED_S = 1.0
CALM_PERCENT = 0.5
EVERY_FRAME = 1_000_000


def port() -> int:
    """A free one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def png(number: int) -> bytes:
    """A rendered part."""
    return cv2.imencode(".png", part(number)[:, :, ::-1])[1].tobytes()


@contextmanager
def process(*command: str) -> Iterator[int]:
    """A process that runs meanwhile, by its id."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield running.pid
        finally:
            running.terminate()
            running.wait()


def processor_s(pid: int) -> float:
    """How long a process has used the processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def viewer(at: int, seen: list[int]) -> None:
    """One person who watches."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at)
    writer.write(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{at}\r\n\r\n".encode())
    newest, come = 0, asyncio.Event()

    async def show() -> None:
        images, out = await asyncio.open_connection("127.0.0.1", at)
        while await come.wait():
            come.clear()
            out.write(f"GET /frames/{newest}/heat.jpg HTTP/1.1\r\nHost: 127.0.0.1:{at}\r\n\r\n".encode())
            head = await images.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await images.readexactly(int(length.split(b":")[1]))
            seen.append(newest)
            await asyncio.sleep(SHOWN_EVERY_S)

    task = asyncio.ensure_future(show())
    try:
        while news := await reader.read(1 << 16):
            at_seq = news.rfind(b'{"seq": ')
            if at_seq >= 0:
                newest = int(news[at_seq + 8 : news.index(b",", at_seq)])
                come.set()
    finally:
        task.cancel()
        writer.close()


async def watch(at: int, count: int, seconds: float) -> None:
    """So many viewers for so long: that they watch, and then how many images they were shown, on stdout."""
    seen: list[int] = []
    tasks = [asyncio.ensure_future(viewer(at, seen)) for _ in range(count)]
    await asyncio.sleep(CONNECTED_S)
    print("watching", flush=True)
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(len(seen))


def stream(client: redis.Redis, name: str, images: list[bytes], fps: float, seconds: float) -> dict[str, int]:
    """Frames at a steady rate; when each came into the stream, Unix time in ms."""
    began, sent = time.monotonic(), dict[str, int]()
    while (now := time.monotonic() - began) < seconds:
        if len(sent) / fps <= now:
            frame = f"{name}-{len(sent)}"
            fields = {"frame_id": frame, "image": images[len(sent) % len(images)]}
            entry = client.xadd("driftline:bench:frames", fields)  # type: ignore[arg-type]  # its annotation is too narrow
            sent[frame] = int(entry.split(b"-")[0])
        else:
            time.sleep(len(sent) / fps - now)
    return sent


def times(ledger: Ledger, sent: dict[str, int], name: str) -> dict[str, float]:
    """p50 and p99 of scoring, and of a frame from its entry in the stream to its verdict's, in ms."""
    frames = [frame for frame in newest_frames(ledger, EVERY_FRAME)[::-1] if frame.frame_id.startswith(f"{name}-")]
    frames = frames[len(frames) // 10 :]
    spent = [frame.timings["judge_ms"] for frame in frames]
    whole = [frame.judged_ms + s - sent[frame.frame_id] for frame, s in zip(frames, spent, strict=True)]
    found = {"frames": float(len(frames))}
    for what, values in {"judge": spent, "whole": whole}.items():
        for share in (50, 99):
            found[f"{what} p{share}"] = float(np.percentile(values, share))
    return found


def main() -> None:
    """Rounds without and with viewers in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--fps", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--watch", type=int, help="only be the viewers of a console at this port")
    given = parser.parse_args()
    if given.watch:
        asyncio.run(watch(given.watch, given.viewers, given.seconds))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(given, Path(folder))


def measure(given: argparse.Namespace, root: Path) -> None:
    """The rounds, in a folder of their own."""
    server, console = port(), port()
    (root / "good").mkdir()
    for number in range(GOODS):
        (root / "good" / f"{number:03d}.png").write_bytes(png(number))
    settings = {
        "line": "bench",
        "state_dir": str(root / "state"),
        "redis": {"url": f"redis://127.0.0.1:{server}/0"},
        "console": {"port": console},
    }
    config = root / "config.yaml"
    config.write_text(json.dumps(settings))
    here = [sys.executable, "-m", "daemon.cli.main"]
    redis_server = shutil.which("redis-server")
    if redis_server is None:
        sys.exit("no redis-server on the PATH")
    subprocess.run([*here, "teach", str(root / "good"), "-c", str(config)], check=True, stderr=subprocess.DEVNULL)
    images = [png(1_000 + n) for n in range(100)]
    made: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with (
        process(redis_server, "--port", str(server), "--save", "", "--dir", str(root)),
        process(*here, "run", "-c", str(config)),
        process(*here, "console", "-c", str(config)) as served_by,
    ):
        client = redis.Redis(port=server)
        ledger = open_state(Settings.model_validate(settings).state_dir).ledger
        while ledger.get_status("service") is None:
            time.sleep(0.2)
        stream(client, "warm", images, given.fps, 5)
        for at in range(2 * given.rounds):
            watched, name = bool(at % 2), f"round{at}"
            command = ["chrt", "--idle", "0", sys.executable, __file__, "--watch", str(console)]
            command += ["--viewers", str(given.viewers), "--seconds", str(given.seconds)]
            viewers = None
            if watched:
                viewers = subprocess.Popen(command, stdout=subprocess.PIPE)
                assert viewers.stdout is not None  # noqa: S101  # it is a pipe
                viewers.stdout.readline()
            pids = (served_by, viewers.pid) if viewers else (served_by,)
            before, host = [processor_s(pid) for pid in pids], stolen()
            sent = stream(client, name, images, given.fps, given.seconds)
            spent = [processor_s(pid) - then for pid, then in zip(pids, before, strict=True)]
            took, of = (now - then for now, then in zip(stolen(), host, strict=True))
            time.sleep(1)
            shown = int(viewers.communicate()[0]) if viewers else 0
            found = {"images shown": shown, "console": 100 * spent[0], "viewers": 100 * sum(spent[1:])}
            found["host"] = 100 * took / of
            made[watched].append(times(ledger, sent, name) | found)
            print(name, made[watched][-1], file=sys.stderr)
            client.xtrim("driftline:bench:frames", maxlen=0)
    tell(given, made)


def tell(given: argparse.Namespace, made: dict[bool, list[dict[str, float]]]) -> None:
    """The medians of the rounds that count, and of what a round with viewers adds to the one before it: within minutes
    this machine's processors change their speed by a third."""
    pairs = [pair for pair in zip(made[False], made[True], strict=True) if all(r["host"] <= CALM_PERCENT for r in pair)]
    print(f"{len(pairs)} of {given.rounds} pairs count: in the others the host took this machine's processors.\n")
    if not pairs:
        sys.exit("this machine is too busy to measure anything")
    heads = ("judge p50, ms", "judge p99, ms", "whole p50, ms", "whole p99, ms", "images shown a second")
    print(f"| viewers | {' | '.join(heads)} | console, % of a core | viewers, % of a core |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for count, rounds in zip((0, given.viewers), zip(*pairs, strict=True), strict=True):
        keys = ("judge p50", "judge p99", "whole p50", "whole p99", "images shown", "console", "viewers")
        values = [float(np.median([r[key] for r in rounds])) for key in keys]
        values[-3:] = [value / given.seconds for value in values[-3:]]
        print(f"| {count} | " + " | ".join(f"{v:.1f}" for v in values) + " |")
    added = sorted(with_all["judge p99"] / alone["judge p99"] - 1 for alone, with_all in pairs)
    told = ", ".join(f"{share:+.1%}" for share in added)
    print(f"\nThe viewers add {np.median(added):+.1%} to the p99 of scoring ({told}).")


if __name__ == "__main__":
    main()
