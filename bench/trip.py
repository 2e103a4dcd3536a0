"""A frame's trip through the running service, from its entry in Redis to its verdict there, in parts.

usage: python -m bench.trip [--beside REVISION] [--rounds 5] [--frames 300] [--backend torch] [--patches 10000]
       [--short]

300 × 300 JPEGs of rendered parts by a real Redis, `driftline run` as a process with driftline-tiny and a bank of so
many patches, a stopwatch at each step (bench/lib/traced_run.py). *Start to ready* is the time from the process's start
until its log says that it runs. *Alone*: one frame after the other, each sent when the
verdict before it has come. *Under load*: all are sent at once. With `--beside`, another revision is measured in the
same run, in turns, from a worktree of its own. Medians of rounds are told, and the host's share of the processors.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import redis

from bench.lib import arguments
from bench.lib.checkouts import checkouts, host_and_medians
from bench.lib.host import memory_mb, stolen
from bench.lib.jpegs import part_jpeg
from bench.lib.processes import DRIFTLINE, ROOT, START_S, ended, redis_server, running, start

TRACED = ROOT / "bench" / "lib" / "traced_run.py"
SIDE_PX = 300
WARM = 30
READY = b"] running "  # in the log
Figures = dict[str, list[float]]


def main() -> None:
    """Rounds in turns."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--beside")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--taught", type=int, default=60)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--patches", type=int, default=10_000)
    options = arguments.parse(parser, rounds=1, frames=8, taught=8, patches=500)
    told: dict[str, Figures] = {}
    steps: dict[str, dict[str, Figures]] = {}
    host = stolen()
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as port:
        goods = Path(name) / "good"
        goods.mkdir()
        for number in range(options.taught):
            (goods / f"{number:03d}.jpg").write_bytes(part_jpeg(number, SIDE_PX))
        images = [part_jpeg(1_000 + number, SIDE_PX) for number in range(options.frames)]
        with checkouts(options.beside, Path(name)) as revisions:
            for revision, root in revisions.items():
                file = config(revision, Path(name), port, options)
                log = file.with_suffix(".log")
                ended(start([*DRIFTLINE, "teach", goods, "-c", file], log, checkout=root), "driftline teach", log)
                told[revision], steps[revision] = defaultdict(list), {}
            for number in range(options.rounds):
                for revision, root in revisions.items():
                    for load in ("alone", "under load"):
                        measured(
                            config(revision, Path(name), port, options),
                            root,
                            load,
                            f"{number}-{load[:1]}",
                            images,
                            port,
                            told[revision],
                            steps[revision].setdefault(load, defaultdict(list)),
                        )
    took, of = (now - then for now, then in zip(stolen(), host, strict=True))
    report(told, steps, 100 * took / of)


def config(revision: str, folder: Path, port: int, options: argparse.Namespace) -> Path:
    """The settings of a revision's own line."""
    file = folder / f"{revision}.json"
    if not file.exists():
        settings = {
            "line": f"trip-{revision}",
            "state_dir": str(folder / f"state-{revision}"),
            "extractor": {"backend": options.backend},
            "memory": {"bank_patches": options.patches},
            "redis": {"url": f"redis://127.0.0.1:{port}/0"},
            "policy": {"audit_share": 0.0, "review_rate": 1e-6},  # no questions, which wait for the disk
        }
        file.write_text(json.dumps(settings))
    return file


def measured(
    file: Path, root: Path, load: str, name: str, images: list[bytes], port: int, told: Figures, steps: Figures
) -> None:
    """One round of one revision: figures of whole trips, and of every step."""
    line, times = json.loads(file.read_text())["line"], file.with_suffix(".times")
    command = [sys.executable, TRACED, times, "run", "-c", file]
    log = file.with_suffix(".log")
    before, started_s = log.read_bytes().count(READY), time.perf_counter()
    with running(command, log, checkout=root) as pid, redis.Redis(port=port) as client:
        while log.read_bytes().count(READY) == before:
            if time.perf_counter() - started_s > START_S:
                raise SystemExit(f"not ready within {START_S} s: see {log}")
            time.sleep(0.01)
        told["start to ready, s"].append(time.perf_counter() - started_s)
        warm = min(WARM, len(images))
        trips(client, line, f"warm-{name}", images[:warm], alone=True)
        began_s = time.perf_counter()
        each_ms = trips(client, line, name, images, alone=load == "alone")
        if load == "alone":
            told["alone p50, ms"].append(float(np.percentile(each_ms, 50)))
            told["alone p99, ms"].append(float(np.percentile(each_ms, 99)))
        else:
            told["under load, frames/s"].append(len(images) / (time.perf_counter() - began_s))
        told[f"memory, {load}, MB"].append(memory_mb(pid))
    for step, values in json.loads(times.read_text()).items():
        steps[step] += values[-len(images) :]


def trips(client: redis.Redis, line: str, name: str, images: list[bytes], *, alone: bool) -> list[float]:
    """Send images and wait for all their verdicts; how long each took (ms) from when it was sent."""
    frames, verdicts = f"driftline:{line}:frames", f"driftline:{line}:verdicts"
    newest = client.xrevrange(verdicts, count=1)
    last, sent_s, took_ms = newest[0][0] if newest else "0-0", {}, []
    waiting = [(f"{name}-{number}", image) for number, image in enumerate(images)]
    while len(took_ms) < len(images):
        while waiting and (not alone or len(sent_s) == len(took_ms)):
            frame_id, image = waiting.pop(0)
            sent_s[frame_id] = time.perf_counter()
            client.xadd(frames, {"frame_id": frame_id, "image": image})  # type: ignore[dict-item]  # redis takes bytes
        reply = client.xread({verdicts: last}, block=60_000)
        if not reply:
            raise SystemExit("no verdict for a minute")
        last = reply[0][1][-1][0]
        for _, fields in reply[0][1]:
            frame_id = fields[b"frame_id"].decode()
            if frame_id in sent_s:
                took_ms.append(1000 * (time.perf_counter() - sent_s[frame_id]))
    return took_ms


def report(told: dict[str, Figures], steps: dict[str, dict[str, Figures]], host_percent: float) -> None:
    """Medians of rounds by revision, then the steps by revision and load."""
    host_and_medians(told, host_percent, ".1f")
    columns = [(revision, load) for revision in steps for load in steps[revision]]
    names = list(dict.fromkeys(step for revision, load in columns for step in steps[revision][load]))
    print(f"\n| step, ms: median, p99 | {' | '.join(f'{r}, {load}' for r, load in columns)} |")
    print(f"| --- |{' --- |' * len(columns)}")
    for step in names:
        cells = []
        for revision, load in columns:
            values = steps[revision][load].get(step)
            cells.append(f"{np.percentile(values, 50):.2f}, {np.percentile(values, 99):.2f}" if values else "")
        print(f"| {step} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
