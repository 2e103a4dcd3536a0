"""Where frames come from: a Redis Stream or a watched folder. Both give `Frame`s and take acknowledgements."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from daemon.frames import SUFFIXES, ImageRejected, read_allowed
from daemon.wire import Message, Wire

MAX_ID_CHARS = 256
FOLDER_POLL_S = 0.05


@dataclass(frozen=True)
class Frame:
    """One frame to judge. `data` is the camera's bytes, or None with the reason in `problem`.

    `sent_ms` (Unix time) is when the line handed it over; `receipt` belongs to the source.
    """

    frame_id: str
    part_id: str
    source: str
    sent_ms: int
    data: bytes | None
    problem: str | None = None
    receipt: object = field(default=None, repr=False)


class Source(Protocol):
    """A place that frames come from. What was read and not acknowledged is delivered again after a crash."""

    def read(self, block_ms: int) -> list[Frame]:
        """The next frames, in order; waits up to `block_ms` for the first. Raises WireLost."""

    def acknowledge(self, frame: Frame) -> None:
        """The frame's verdict is durable. Raises WireLost."""


class RedisFrames:
    """Frames from the stream `…:frames`: `frame_id`, `image` (bytes) or `path`, optional `part_id`."""

    def __init__(self, wire: Wire, roots: tuple[Path, ...], max_bytes: int) -> None:
        self._wire = wire
        self._roots = roots
        self._max_bytes = max_bytes

    def read(self, block_ms: int) -> list[Frame]:
        """Up to one batch of messages; a malformed one becomes a frame with a problem, never an exception."""
        return [self._frame(message) for message in self._wire.read("frames", block_ms)]

    def acknowledge(self, frame: Frame) -> None:
        """Acknowledge; a frame that could not be used goes to the dead-letter stream, with the reason."""
        message = frame.receipt
        assert isinstance(message, Message)  # noqa: S101  # made in _frame
        if frame.problem is None:
            self._wire.acknowledge(message)
        else:
            self._wire.bury(message, frame.problem)

    def _frame(self, message: Message) -> Frame:
        sent_ms = int(message.entry.partition("-")[0])
        unnamed = Frame(f"entry:{message.entry}", "", "redis", sent_ms, None, receipt=message)
        try:
            frame_id = message.text("frame_id")
            part_id = message.text("part_id") or ""
            path = message.text("path")
        except UnicodeDecodeError:
            return _with_problem(unnamed, "frame_id, part_id and path must be UTF-8")
        if not frame_id or len(frame_id) > MAX_ID_CHARS or len(part_id) > MAX_ID_CHARS:
            return _with_problem(unnamed, f"frame_id must have 1 to {MAX_ID_CHARS} characters, part_id at most as many")
        named = Frame(frame_id, part_id or frame_id, "redis", sent_ms, message.fields.get("image"), receipt=message)
        if (named.data is None) == (path is None):
            return _with_problem(named, "exactly one of `image` and `path` is needed")
        if named.data is not None and len(named.data) > self._max_bytes:
            return _with_problem(named, f"image is larger than source.max_bytes={self._max_bytes}")
        if path is None:
            return named
        try:
            data = read_allowed(Path(path), self._roots, self._max_bytes)
        except ImageRejected as error:
            return _with_problem(named, str(error))
        return Frame(named.frame_id, named.part_id, "redis", sent_ms, data, receipt=message)


class WatchedFolder:
    """Image files that appear in a folder, oldest first; once judged they move to its subfolder `judged`.

    The frame id is the file's name and modification time, so a camera may use its names again.
    """

    def __init__(self, folder: Path, settle_ms: int, max_bytes: int) -> None:
        self._folder = folder
        self._settle_ms = settle_ms
        self._max_bytes = max_bytes
        (folder / "judged").mkdir(parents=True, exist_ok=True)

    def read(self, block_ms: int) -> list[Frame]:
        """The files that have settled: unchanged for `settle_ms`."""
        until = time.monotonic() + block_ms / 1000
        while not (found := self._settled()) and time.monotonic() < until:
            time.sleep(FOLDER_POLL_S)
        return [self._frame(path, modified_ns) for modified_ns, path in found]

    def acknowledge(self, frame: Frame) -> None:
        """Move the file aside; a file that vanished meanwhile is no error."""
        path = frame.receipt
        assert isinstance(path, Path)  # noqa: S101  # made in _frame
        if path.exists():
            path.replace(self._folder / "judged" / frame.frame_id.replace("@", "."))

    def _settled(self) -> list[tuple[int, Path]]:
        limit_ns = time.time_ns() - self._settle_ms * 1_000_000
        found = []
        for path in self._folder.iterdir():
            if path.suffix.lower() in SUFFIXES and path.is_file():
                modified_ns = path.stat().st_mtime_ns
                if modified_ns <= limit_ns:
                    found.append((modified_ns, path))
        return sorted(found)

    def _frame(self, path: Path, modified_ns: int) -> Frame:
        frame_id = f"{modified_ns}@{path.name}"
        blank = Frame(frame_id, path.stem, "folder", modified_ns // 1_000_000, None, receipt=path)
        try:
            data = read_allowed(path, (self._folder,), self._max_bytes)
        except ImageRejected as error:
            return _with_problem(blank, str(error))
        return Frame(frame_id, path.stem, "folder", blank.sent_ms, data, receipt=path)


def _with_problem(frame: Frame, problem: str) -> Frame:
    return Frame(frame.frame_id, frame.part_id, frame.source, frame.sent_ms, None, problem, frame.receipt)
