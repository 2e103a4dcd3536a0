"""Playback of a data set through the whole service, frame by frame over Redis, with a simulated operator."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from daemon.clock import iso
from daemon.learning import answers
from daemon.learning.publish import announce
from daemon.learning.survey import Track
from daemon.learning.teach import Taught, images_in, teach
from daemon.ledger.answers import is_recorded
from daemon.ledger.records import JudgedFrame
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisLost, Stream
from memory.detector import PATCH_BANK
from memory.errors import DriftlineError
from memory.store import Store
from memory.version import VersionDraft

OPERATOR = "replay"
ROLES = {"", "setup", "stream", "probe"}
BLOCK_MS = 50
log = structlog.get_logger()


class ReplayError(DriftlineError):
    """The data set cannot be played."""


@dataclass(frozen=True)
class Item:
    """One image of a data set. `answer` is the operator's if asked: good, defect, or None for no answer."""

    frame_id: str
    part_id: str
    path: Path
    answer: str | None


@dataclass(frozen=True)
class Dataset:
    """A data set to play: `setup` are good parts to teach from, `stream` are the frames in order."""

    setup: tuple[Path, ...]
    stream: tuple[Item, ...]


def dataset(source: Path) -> Dataset:
    """The images of a folder, in the order of their names, or the rows of a CSV file.

    A CSV needs the column `image` (a path beside the CSV) and may have `label` (`good`, or any defect's
    name), `part`, `index`, and `role` (`setup`, `stream`, `probe`; probes are not played). Raises ReplayError
    naming the row that is wrong.
    """
    if source.is_dir():
        paths = images_in(source)
        return Dataset((), tuple(Item(str(p.relative_to(source)), p.stem, p, None) for p in paths))
    try:
        with source.open(newline="", encoding="utf-8") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReplayError(
            expected="a folder of images or a CSV file", came=f"{source}: {error}", do="check the path"
        ) from error
    setup, stream = [], []
    for number, row in enumerate(rows, start=2):
        image, role = row.get("image"), row.get("role") or ""
        if not image or role not in ROLES:
            raise ReplayError(
                expected=f"a column `image` and a role among {sorted(ROLES - {''})} or none",
                came=f"{source}, line {number}: image={image!r}, role={role!r}",
                do="correct that line",
            )
        path = source.parent / image
        if role == "setup":
            setup.append(path)
        elif role != "probe":
            label = row.get("label")
            answer = None if not label else "good" if label == "good" else "defect"
            index = row.get("index") or str(number - 2)
            stream.append(Item(f"{index}:{image}", row.get("part") or path.stem, path, answer))
    return Dataset(tuple(setup), tuple(stream))


def aside(settings: Settings, roots: Iterable[Path]) -> Settings:
    """The settings of a replay: a state folder and stream names of its own, so that it never touches the line.

    Torch judges it: the images that would certify another backend are the line's.
    """
    return settings.model_copy(
        update={
            "line": f"{settings.line}-replay",
            "state_dir": settings.state_dir.with_name(f"{settings.state_dir.name}-replay"),
            "extractor": settings.extractor.model_copy(update={"backend": "torch"}),
            "source": settings.source.model_copy(update={"kind": "redis", "allowed_roots": tuple(roots)}),
        }
    )


def prepare(service: Service, data: Dataset, live: Store, track: Track) -> Taught | None:
    """Give the replay its first version: taught from the setup rows, or else a copy of the live line's head.

    Does nothing where the replay has a version already, so a replay that was cut off goes on. Raises
    ReplayError where there is nothing to start from, or where the folder holds a replay of something else.
    """
    engine = service.engine
    this = {"of": _digest(data, engine.settings)}
    if service.store.head() is not None:
        if engine.ledger.get_status("replay") != this:
            raise ReplayError(
                expected=f"a replay of the same data and settings as the one in {engine.settings.state_dir}",
                came="another data set, folder, or setting",
                do="remove that folder, or name another state_dir with --set",
            )
        return None
    engine.ledger.set_status("replay", this)
    if data.setup:
        return teach(data.setup, engine, service.store, OPERATOR, track)
    head = live.head()
    if head is None:
        raise ReplayError(
            expected="setup rows in the data set, or a taught line",
            came="neither",
            do="run `driftline teach DIR` first",
        )
    copied = service.store.commit(
        live.load(head).snapshot,
        VersionDraft(
            parent=None,
            cause=f"copy of version {head.number}",
            who=OPERATOR,
            created_at=iso(engine.clock_ms()),
            extractor=head.extractor,
            geometry=head.geometry,
            threshold=head.threshold,
        ),
    )
    announce(engine.ledger, copied, engine.clock_ms())
    return None


def play(service: Service, stream: Sequence[Item], done: Callable[[Item, JudgedFrame], None]) -> None:
    """Play items one by one: frame, verdict, answer if asked, lesson if due; each ends before the next begins.

    So what is learned when does not depend on timing: a replay that was killed anywhere and started again
    gives the same verdicts, scores and versions as one that was not.
    """
    for item in stream:
        frame = send_frame(service, item.frame_id, {"part_id": item.part_id, "path": str(item.path)})
        if frame.asked and item.answer is not None:
            send_answer(service, answers.answer(item.frame_id, item.answer, OPERATOR))
        service.lesson_if_due()
        done(item, frame)
    service.turn(BLOCK_MS)


def send_frame(service: Service, frame_id: str, fields: dict[str, str | bytes]) -> JudgedFrame:
    """Send a frame and wait for its verdict; a frame judged before is not sent again."""
    ledger = service.engine.ledger
    if ledger.frame(frame_id) is None:
        _sent(service, lambda: service.streams.send(Stream.FRAMES, {"frame_id": frame_id, **fields}))
    while (frame := ledger.frame(frame_id)) is None:
        service.turn(BLOCK_MS)
    return frame


def send_answer(service: Service, answer: answers.Answer) -> None:
    """Send an answer and wait until it is recorded; one recorded before is not sent again."""
    ledger = service.engine.ledger
    if not is_recorded(ledger, answer.key):
        _sent(service, lambda: service.streams.send(Stream.FEEDBACK, answer.fields()))
    while not is_recorded(ledger, answer.key):
        service.turn(BLOCK_MS)


def _digest(data: Dataset, settings: Settings) -> str:
    """A digest of the data and of the settings that decide a replay's outcome."""
    decisive = settings.model_dump(mode="json", include={"extractor", "memory", "policy"})
    if decisive["memory"]["detector"] == PATCH_BANK:
        del decisive["memory"]["detector"]  # replays begun before there were several kinds go on
    items = [(i.frame_id, str(i.path.resolve()), i.answer) for i in data.stream]
    return hashlib.sha256(json.dumps([items, [str(p) for p in data.setup], decisive]).encode()).hexdigest()


def _sent(service: Service, send: Callable[[], object]) -> None:
    """Call `send` until Redis answers; meanwhile the service's own turns wait and report."""
    while True:
        try:
            send()
        except RedisLost:
            service.turn(BLOCK_MS)
        else:
            return
