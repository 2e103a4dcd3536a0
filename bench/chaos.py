"""Kills, faults of Redis and disk, jumps of the clock: what a line loses by them, beside a line that lives in peace.

usage: python -m bench.chaos [--kills 1000] [--frames 150] [--seed 0] [--short]

Lines live a written life over a real redis-server that this script starts: frames, answers, lessons, retention,
backups, rollbacks. Each is compared with the same life in peace: every verdict with its score, every answer, every
version by the checksums of its blobs. The full disk needs root (a tmpfs), the jumps libfaketime. Markdown on stdout.
"""

from __future__ import annotations

import collections
import contextlib
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

from bench.lib import arguments, faults
from bench.lib.forked import Forked
from bench.lib.jumps import JUMPS_S, jumps, stopped_under_load
from bench.lib.material import SHORT_PX, TINY, backbone
from bench.lib.running_line import running
from bench.lib.scripted_line import At, Phase, Script, begin, live, outcome, script
from daemon.ledger.backup import restore
from daemon.settings.load import Settings
from daemon.settings.logs import log_to
from memory.extract import Extractor
from memory.runtime import use_threads
from memory.store import Store

LIVES_S = (0.02, 3.0)  # how long a life lasts before it is killed


@dataclass
class Bench:
    """What all lines share."""

    folder: Path
    server: faults.Redis
    looks: Extractor
    draw: random.Random
    frames: int
    at: At = field(default_factory=At)

    def settings(self, line: str, state: Path | None = None) -> Settings:
        """The settings of a line that learns and rolls back often."""
        return Settings.model_validate(
            {
                "line": line,
                "state_dir": state or self.folder / line,
                "extractor": TINY.model_copy(update={"input_px": SHORT_PX, "threads": 1}).model_dump(),
                "memory": {"bank_patches": 1_500, "lesson_patches": 200, "keep_versions": 1_000},
                "policy": {"false_reject_rate": 0.1, "audit_share": 0.2, "lesson_after": 5, "asks_per_hour": 10_000},
                "retention": {"ring_frames": 10},
                "redis": {"url": self.server.url},
                "source": {"allowed_roots": [str(self.folder)]},
            }
        )

    def taught(self, name: str, seed: int) -> Script:
        """A written life, and the taught line that begins each way of living it."""
        of = script(self.folder / f"{name}-parts", seed, self.frames)
        settings = self.settings(f"{name}-taught")
        Forked(lambda: begin(settings, of, self.looks), self.folder / f"{name}.log").ended()
        return of

    def life(self, name: str, way: str, of: Script, state: Path | None = None) -> Forked:
        """A process that lives the line's life from where it is."""
        line = f"{name}-{way}"
        settings = self.settings(line, state)
        if not settings.state_dir.exists():
            shutil.copytree(self.folder / f"{name}-taught", settings.state_dir)
        return Forked(lambda: live(settings, of, self.looks, self.at), self.folder / f"{line}.log")

    def calm(self, name: str, of: Script) -> dict[str, object]:
        """The outcome of the life in peace."""
        self.life(name, "calm", of).ended()
        return outcome(self.folder / f"{name}-calm")


def different(calm: dict[str, object], other: dict[str, object]) -> int:
    """In how many frames, answers and versions two outcomes differ; lost and doubled ones count."""
    count = 0
    for name, rows in calm.items():
        one, two = list(rows), list(other[name])  # type: ignore[call-overload]  # lists of rows
        count += abs(len(one) - len(two)) + sum(a != b for a, b in zip(one, two, strict=False))
    return count


def published(on: Bench, line: str) -> tuple[int, int]:
    """Verdicts that the stream lacks, and that it holds twice."""
    with contextlib.closing(sqlite3.connect(on.folder / line / "ledger.sqlite")) as ledger:
        judged = [row[0] for row in ledger.execute("SELECT frame_id FROM frames")]
    with redis.Redis(port=on.server.port, protocol=2) as client:
        told = [fields[b"frame_id"].decode() for _, fields in client.xrange(f"driftline:{line}:verdicts")]
    return len(set(judged) - set(told)), len(told) - len(set(told))


def kills(on: Bench, most: int) -> Iterator[str]:
    """Lives that are killed at random moments, one line after the other until `most` kills were made."""
    made, wrong, lost, doubled, versions, backups, lines = collections.Counter[Phase](), 0, 0, 0, 0, 0, 0
    while sum(made.values()) < most:
        lines += 1
        name = f"kills{lines}"
        of = on.taught(name, lines)
        calm, ended = on.calm(name, of), False
        while not ended:
            life = on.life(name, "killed", of)
            if sum(made.values()) < most:
                time.sleep(on.draw.uniform(*LIVES_S))
                ended = life.killed()
                made[on.at.phase] += not ended
            else:
                life.ended()
                ended = True
        killed = outcome(on.folder / f"{name}-killed")
        wrong += different(calm, killed)
        missing, twice = published(on, f"{name}-killed")
        lost, doubled = lost + missing, doubled + twice
        versions += len(killed["versions"])
        for backup in sorted((on.folder / f"{name}-killed-backups").glob("[0-9]*")):
            backups += restore(backup, on.folder / f"{name}-restored-{backup.name}") is not None
    where = ", ".join(f"{phase.name.lower()} {made[phase]}" for phase in Phase)
    what = "verdicts, answers, versions that differ"
    yield f"| kill −9, {sum(made.values())} times over {lines} lines (in {where}): {what} | {wrong} |"
    yield f"| verdicts lost from the stream, doubled in it | {lost}, {doubled} |"
    yield f"| versions that load, backups that are restored whole | {versions}, {backups} |"


def disturbed(on: Bench, disk: faults.SmallDisk | None, *, short: bool) -> Iterator[str]:
    """One life, again and again, while something that it stands on is disturbed."""
    of = on.taught("hit", 99)
    calm = on.calm("hit", of)

    def under(way: str, what: str, disturb: Callable[[Forked], int], state: Path) -> str:
        life = on.life("hit", way, of, state)
        times = disturb(life)
        life.ended()
        return f"| {what}, {times} times: verdicts, answers, versions that differ | {different(calm, outcome(state))} |"

    for fault, what in list(faults.OF_REDIS.items())[: 1 if short else None]:
        yield under(fault, what, lambda life, hit=fault: on.server.disturbed(life, hit, on.draw), on.folder / fault)
    if disk is None:
        yield "| disk full | not run: no right to mount a tmpfs |"
    else:
        yield under("full", "disk full", disk.disturbed, disk.path / "state")


def processes_of_a_line(on: Bench, *, short: bool) -> Iterator[str]:
    """A line as it is installed, with a full bank: how soon it is ready, what stops it, what the clock does to it."""
    most = 1_500 if short else 10_000
    settings = on.settings("installed")
    settings = settings.model_copy(
        update={
            "memory": settings.memory.model_copy(update={"bank_patches": most}),
            "schedule": settings.schedule.model_copy(update={"snapshot_s": 1.0}),
            "extractor": TINY.model_copy(update={"threads": 2}),
        }
    )
    goods = script(on.folder / "installed-parts", 50, 8 if short else 120).shown
    of = Script(tuple(item.path for item in goods if item.answer == "good" and int(item.frame_id) % 6), ())
    Forked(lambda: begin(settings, of, backbone(settings.extractor)), on.folder / "installed.log").ended()
    head = Store(settings.state_dir / "store").current().version
    ready_s = []
    for _ in range(1 if short else 5):
        with running(settings, on.folder) as line:
            ready_s.append(line.ready_s())
    what = f"from process start to ready, bank of {head.bank_size:,} patches, s: median, worst"
    yield f"| {what} | {statistics.median(ready_s):.1f}, {max(ready_s):.1f} |"
    yield from stopped_under_load(settings, on.folder, 1 if short else 10)
    yield from jumps(settings, on.folder, JUMPS_S[5:6] if short else JUMPS_S)


def main() -> None:
    """Print the table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--frames", type=int, default=150, help="frames of a line's life")
    parser.add_argument("--seed", type=int, default=0)
    options = arguments.parse(parser, kills=2, frames=6)
    log_to("console", level=40)
    began = time.monotonic()
    draw = random.Random(options.seed)  # noqa: S311  # when to kill, no secret
    use_threads(1)  # a child of a process whose threads have computed waits for them for ever
    looks = backbone(TINY.model_copy(update={"input_px": SHORT_PX}))
    with (
        tempfile.TemporaryDirectory() as name,
        faults.Redis(Path(name)) as server,
        faults.small_disk(Path(name) / "disk") as disk,
    ):
        on = Bench(Path(name), server, looks, draw, options.frames)
        print("| | |\n| --- | --- |")
        tried = (
            kills(on, options.kills),
            disturbed(on, disk, short=options.short),
            processes_of_a_line(on, short=options.short),
        )
        for rows in tried:
            for row in rows:
                print(row, flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
