"""A line whose whole life is written down: parts, answers, lessons, chores. However often it is cut off, it goes on
where it was, and what it has learned in the end depends on nothing else."""

from __future__ import annotations

import contextlib
import mmap
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import cv2

from bench.lib.taught_lines import untracked
from daemon import build
from daemon.datasets.playback import OPERATOR, Item
from daemon.datasets.rendered import Flaw, Scene, part
from daemon.learning import answers, lesson
from daemon.learning.rollback import roll_back
from daemon.learning.teach import teach
from daemon.ledger.answers import is_recorded
from daemon.ledger.backup import back_up
from daemon.ledger.database import DISK_ERRORS
from daemon.ledger.state import open_state
from daemon.retention import retain
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisLost, Stream
from memory.errors import StoreError
from memory.extract import Extractor
from memory.store import Store

TAUGHT = 12
RETAIN_EVERY, BACK_UP_EVERY, ROLL_BACK_EVERY = 10, 35, 60
AGAIN_S = 0.5
FRAME = "SELECT frame_id, verdict, score, threshold, p_value, version, log_ratio FROM frames ORDER BY frame_id"
ANSWER = "SELECT key, frame_id, verdict, effect FROM feedback ORDER BY id"
COMPARED = ("number", "cause", "blobs", "threshold", "added", "removed", "refused", "gate", "feedback_through")


class Phase(IntEnum):
    """What a line is at."""

    START, FRAME, ANSWER, LESSON, RETENTION, BACKUP, ROLLBACK = range(7)


class At:
    """What a line is at, in memory that it shares with who kills it."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    @property
    def phase(self) -> Phase:
        """What it was at last."""
        return Phase(self._byte[0])

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._byte[0] = phase


@dataclass(frozen=True)
class Script:
    """Parts to teach, and parts to judge with the operator's answers."""

    taught: tuple[Path, ...]
    shown: tuple[Item, ...]


def script(folder: Path, seed: int, frames: int) -> Script:
    """Rendered parts in a light that changes; every sixth is flawed, and each third flawed one is called good."""
    flaws, number, taught, shown = list(Flaw), 1_000 * seed, [], []
    folder.mkdir()
    for n in range(TAUGHT + frames):
        flawed = n >= TAUGHT and n % 6 == 0
        flaw = flaws[n // 6 % len(flaws)] if flawed else None
        image = part(number + n, Scene(light=1.0 + 0.002 * max(n - TAUGHT, 0)), flaw)
        path = folder / f"{n:04d}.png"
        cv2.imwrite(str(path), image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if n < TAUGHT:
            taught.append(path)
        else:
            shown.append(Item(path.stem, path.stem, path, "defect" if flawed and n % 18 else "good"))
    return Script(tuple(taught), tuple(shown))


def taught_script(folder: Path, parts: int) -> Script:
    """So many rendered good parts to teach, and no life yet."""
    folder.mkdir()
    paths = [folder / f"{n:04d}.png" for n in range(parts)]
    for n, path in enumerate(paths):
        cv2.imwrite(str(path), part(90_000 + n)[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return Script(tuple(paths), ())


def begin(settings: Settings, of: Script, backbone: Extractor) -> None:
    """Teach the line."""
    opened = open_state(settings.state_dir)
    engine = build.engine(settings, opened, backbone)
    teach(of.taught, engine, opened.store, OPERATOR, untracked)
    opened.ledger.close()


def live(settings: Settings, of: Script, backbone: Extractor, at: At) -> None:
    """Live the taught line's life from wherever it was cut off to its end."""
    at.phase = Phase.START
    with build.only_one(settings.state_dir):
        opened = open_state(settings.state_dir)
        service = build.service(settings, opened, backbone, build.redis_streams(settings))
        service.start()
        begun = opened.ledger.counts()
        judged = sum(count for name, count in begun.items() if name.startswith("frames."))
        for number, item in enumerate(of.shown, 1):
            at.phase = Phase.FRAME
            frame = _until(
                service,
                lambda name=item.frame_id: opened.ledger.frame(name),
                lambda one=item: _frame_sent(service, one),
            )
            if frame.asked and item.answer is not None:
                at.phase = Phase.ANSWER
                given = answers.answer(item.frame_id, item.answer, OPERATOR)
                _until(
                    service,
                    lambda key=given.key: is_recorded(opened.ledger, key),
                    lambda one=given: service.streams.send(Stream.FEEDBACK, one.fields()),
                )
            at.phase = Phase.LESSON
            _insist(service, lambda: _learned(service))
            if number >= judged:  # earlier ones had their chores before the line was cut off
                _chores(service, number, at)
        service.turn(0)
        opened.ledger.close()


def _chores(service: Service, number: int, at: At) -> None:
    settings, store = service.engine.settings, service.store
    if number % RETAIN_EVERY == 0:
        at.phase = Phase.RETENTION
        _insist(service, lambda: retain(service, time.time()))
    out = settings.state_dir.parent / f"{settings.line}-backups" / f"{number:04d}"
    if number % BACK_UP_EVERY == 0 and not out.exists():
        at.phase = Phase.BACKUP
        _insist(service, lambda: back_up(settings.state_dir, out))
    if number % ROLL_BACK_EVERY == 0:
        at.phase = Phase.ROLLBACK
        who = f"engineer {number}"
        if who not in {version.who for version in store.history()}:
            _insist(service, lambda: roll_back(store, service.engine.ledger, 1, who, service.engine.clock_ms()))
        service.notice_versions()


def _learned(service: Service) -> None:
    while lesson.due(service.engine, service.engine.settings.policy.lesson_after):
        service.lesson_if_due()


def _insist(service: Service, call: Callable[[], object]) -> None:
    """Call something until the disk takes it."""
    while True:
        try:
            call()
        except (StoreError, *DISK_ERRORS):
            service.turn(10)
        else:
            return


def _frame_sent(service: Service, item: Item) -> None:
    fields: dict[str, str | bytes] = {"frame_id": item.frame_id, "part_id": item.part_id, "path": str(item.path)}
    if not service.streams.waiting(Stream.FRAMES):
        service.streams.send(Stream.FRAMES, fields)


def _until(service: Service, there: Callable[[], Any], send: Callable[[], object]) -> Any:
    """Send something until the ledger has it; Redis may have lost it."""
    again_s = 0.0
    while not (found := there()):
        if time.monotonic() > again_s:
            with contextlib.suppress(RedisLost):
                service.streams.waiting(Stream.FRAMES)
                send()
            again_s = time.monotonic() + AGAIN_S
        service.turn(10)
    return found


def outcome(state: Path) -> dict[str, Any]:
    """All that must not depend on how often a line was cut off: frames, answers, versions with their blobs' sums."""
    with contextlib.closing(sqlite3.connect(state / "ledger.sqlite")) as ledger:
        frames, given = ledger.execute(FRAME).fetchall(), ledger.execute(ANSWER).fetchall()
    store = Store(state / "store")
    versions = [{name: getattr(version, name) for name in COMPARED} for version in store.history()]
    for version in store.history():
        store.load(version)
    return {"frames": frames, "answers": given, "versions": versions}
