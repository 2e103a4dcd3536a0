"""Two lines on one PC for an hour: what grows, what a new version costs, what too many frames do, what is no fault.

usage: python -m bench.soak [--minutes 60] [--rate 20] [--overload_s 60] [--short]

Both lines run as `driftline run`, share the rate (frames a second), and learn from an operator who answers all that is
asked. Slopes are Theil and Sen's over the second half, with their 95 % interval. Markdown on stdout.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import redis
from scipy.stats import theilslopes

from bench.lib import arguments, faults, still_scenes
from bench.lib.feeding import Answered, Feeding, parts
from bench.lib.material import TINY, backbone
from bench.lib.running_line import RunningLine, running
from bench.lib.scripted_line import begin, taught_script
from daemon.settings.load import Settings
from daemon.settings.logs import log_to

LINES = 2
SHOWN = 400
NEAR_S = 10.0  # frames so close to a new version are compared with the others
WATCHED = {"resident memory": "MB", "open files": "files", "write-ahead log": "MB", "ledger query": "ms", "Redis": "MB"}
QUERIES = (
    "SELECT * FROM line_frames ORDER BY seq DESC LIMIT 100",
    "SELECT count(*) FROM open_reviews",
    "SELECT * FROM frames WHERE part_id = 'fed 1'",
)
DEADLINE_MS = 1_000
OVERLOADED = (
    "sent | without a verdict | late | waited, ms: median, most | judged | memory grown in each half, MB |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def line_settings(folder: Path, url: str, name: str, **policy: object) -> Settings:
    """A line that asks and learns often, as after a start."""
    return Settings.model_validate(
        {
            "line": name,
            "state_dir": folder / name,
            "extractor": TINY.model_copy(update={"threads": 1}).model_dump(),
            "policy": {"false_reject_rate": 0.02, "audit_share": 0.02, "asks_per_hour": 600, **policy},
            "schedule": {"admission_s": 20.0, "retention_s": 60.0, "snapshot_s": 2.0},
            "redis": {"url": url},
        }
    )


def looked_at(line: RunningLine, client: redis.Redis) -> dict[str, float]:
    """What is watched of a line now, in the units of `WATCHED`."""
    path = line.settings.state_dir / "ledger.sqlite"
    log = path.with_name(f"{path.name}-wal")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as ledger:
        started = time.perf_counter()
        for query in QUERIES:
            ledger.execute(query).fetchall()
        query_ms = (time.perf_counter() - started) * 1000
    return {
        "resident memory": line.memory_bytes() / 1e6,
        "open files": line.files(),
        "write-ahead log": log.stat().st_size / 1e6 if log.exists() else 0.0,
        "ledger query": query_ms,
        "Redis": client.info("memory")["used_memory"] / 1e6,  # type: ignore[index]  # not asynchronous
    }


def slopes(seen: Sequence[tuple[float, Mapping[str, float]]]) -> Iterator[str]:
    """A row for each thing that is watched: its median, and its slope an hour over the second half."""
    half = seen[len(seen) // 2 :]
    hours = np.array([at_s for at_s, _ in half]) / 3600
    for name, unit in WATCHED.items():
        values = np.array([each[name] for _, each in half])
        slope, _, low, high = theilslopes(values, hours) if len(half) > 2 else (0.0, 0.0, 0.0, 0.0)
        flat = "yes" if low <= 0 <= high else "no"
        yield f"| {name}, {unit} | {np.median(values):.1f} | {slope:+.2f} ({low:+.2f} to {high:+.2f}) | {flat} |"


def promotions(answered: Sequence[Answered]) -> list[float]:
    """When verdicts began to come from another version."""
    return [after.at_s for before, after in pairwise(answered) if before.version != after.version]


def soak(folder: Path, url: str, minutes: float, rate: float) -> Iterator[str]:
    """Rows on lines that are fed for so many minutes."""
    shown, seen = parts(SHOWN if minutes > 1 else 40), []
    names = [f"soak{number + 1}" for number in range(LINES)]
    with ExitStack() as stack, redis.Redis.from_url(url, protocol=2) as client:
        lines = [stack.enter_context(running(line_settings(folder, url, name), folder)) for name in names]
        for line in lines:
            line.ready_s()
        began_s = time.monotonic()
        fed = [Feeding(line.settings, shown, LINES / rate) for line in lines]
        while time.monotonic() - began_s < minutes * 60:
            time.sleep(min(5.0, minutes * 6))
            looks = [looked_at(line, client) for line in lines]
            seen.append((time.monotonic() - began_s, {name: max(look[name] for look in looks) for name in WATCHED}))
        unanswered = sum(each.end() for each in fed)
        bad = sum(line.ended() != 0 for line in lines)
    sent = sum(len(each.sent_s) for each in fed)
    yield f"\n| {LINES} lines, {rate:g} frames a second, {minutes:g} min | median | slope an hour, 95 % | flat |"
    yield "| --- | --- | --- | --- |"
    yield from slopes(seen)
    near, far, news = [], [], 0
    for each in fed:
        moments = promotions(each.answered)
        news += len(moments)
        for one in each.answered:
            close = any(abs(one.at_s - moment_s) < NEAR_S for moment_s in moments)
            (near if close else far).append(one.waited_ms)
    far_ms = np.percentile(far, [50, 99]) if far else [0.0, 0.0]
    near_ms = np.percentile(near, [50, 99]) if near else [0.0, 0.0]
    yield "\n| | |\n| --- | --- |"
    yield f"| frames sent, without a verdict; bad exits | {sent}, {unanswered}; {bad} |"
    yield f"| a verdict after sending, ms: median, p99 | {far_ms[0]:.0f}, {far_ms[1]:.0f} |"
    yield f"| within {NEAR_S:g} s of {news} new versions, ms: median, p99 | {near_ms[0]:.0f}, {near_ms[1]:.0f} |"


def overload(folder: Path, url: str, seconds: float, ways: Sequence[str]) -> Iterator[str]:
    """Rows on a line that gets three times what it can judge, by each way of leaving frames out."""
    shown = parts(40)
    for how in ways:
        settings = line_settings(folder, url, f"overload-{how}", overload=how, deadline_ms=DEADLINE_MS, asks_per_hour=0)
        with running(settings, folder) as line:
            line.ready_s()
            full = Feeding(settings, shown, 0.2, "alone")
            time.sleep(5)
            full.end()
            judge_ms = statistics.median(each.waited_ms for each in full.answered)
            held, fed = [line.memory_bytes()], Feeding(settings, shown, judge_ms / 3000)
            for _ in range(2):
                time.sleep(seconds / 2)
                held.append(line.memory_bytes())
            unanswered = fed.end()
        waited_ms = [each.waited_ms for each in fed.answered]
        late = sum(each > DEADLINE_MS for each in waited_ms)
        judged = sum(each.verdict != "UNKNOWN" for each in fed.answered)
        yield (
            f"| {how} | {len(fed.sent_s)} | {unanswered} | {late} | {np.median(waited_ms):.0f}, {max(waited_ms):.0f} |"
            f" {judged / len(waited_ms):.0%} | {', '.join(f'{grown / 1e6:+.0f}' for grown in np.diff(held))} |"
        )


def main() -> None:
    """Print the tables."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=20.0, help="frames a second, of all lines together")
    parser.add_argument("--overload_s", type=float, default=60.0)
    options = arguments.parse(parser, minutes=0.1, rate=6.0, overload_s=2.0)
    log_to("console", level=40)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, faults.Redis(Path(name)) as server:
        folder, looks = Path(name), backbone(TINY)
        ways = ("sample",) if options.short else ("deadline", "sample", "newest")
        settings = line_settings(folder, server.url, "soak1")
        of = taught_script(folder / "parts", 8 if options.short else 60)
        begin(settings, of, looks)
        for line in ("soak2", *(f"overload-{how}" for how in ways)):
            shutil.copytree(settings.state_dir, folder / line)
        for row in soak(folder, server.url, options.minutes, options.rate):
            print(row, flush=True)
        print(f"\n| 3 × overload, {DEADLINE_MS} ms allowed | {OVERLOADED}")
        for row in overload(folder, server.url, options.overload_s, ways):
            print(row, flush=True)
        print("\n| | |\n| --- | --- |")
        frames, frozen_groups = (30, 3) if options.short else (3_600, 6)
        for row in still_scenes.rows(folder / "soak1", looks, frames, frozen_groups):
            print(row, flush=True)
    print(f"\n{json.dumps({'minutes': options.minutes, 'rate': options.rate})}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
