"""Where frames come from: a Redis Stream or a watched folder. Both give `Frame`s and take acknowledgements."""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from daemon.frames import SUFFIXES, ImageRejected, named, read_allowed
from daemon.wire import Message, Wire
from memory.errors import DriftlineError

MAX_ID_CHARS = 256
MAX_PATH_CHARS = 4096
MAX_STEM_CHARS = 40
FOLDER_BATCH = 8
FOLDER_POLL_S = 0.05


class FrameRejected(DriftlineError):
    """A frame message that does not follow the contract; it goes to the dead-letter stream."""


@dataclass(frozen=True)
class Frame:
    """One frame to judge. `data` is the camera's bytes, or None with the reason in `problem`.

    `sent_ms` (Unix time) is when the line handed it over; `receipt` belongs to the source. One that was `imported`
    never passed the line: it says nothing of the scene, and nobody is asked about it or told of it.
    """

    frame_id: str
    part_id: str
    source: str
    sent_ms: int
    data: bytes | None
    problem: str | None = None
    imported: bool = False
    receipt: object = field(default=None, repr=False)


def reused(frame: Frame, image_sha256: str | None) -> Frame:
    """The frame itself where it is the same image again; one with a problem where its id named another before.

    A counter that starts anew must not make new parts look judged: the line gets an UNKNOWN, with the reason.
    """
    digest = hashlib.sha256(frame.data or b"").hexdigest()
    if image_sha256 in {None, digest}:
        return frame
    return replace(
        frame,
        frame_id=f"{frame.frame_id}@{digest[:12]}",
        problem=f"frame id {frame.frame_id} was used before for another image; ids must be unique for ever",
    )


class Source(Protocol):
    """A place that frames come from. What was read and not acknowledged is delivered again after a crash, but for a
    camera's. `trouble` says why none come, where the source knows."""

    trouble: str | None

    def read(self, block_ms: int) -> list[Frame]:
        """The next frames, in order; waits up to `block_ms` for the first. Raises WireLost."""

    def acknowledge(self, frame: Frame) -> None:
        """The frame's verdict is durable. Raises WireLost."""

    def tidy(self, keep: int) -> None:
        """Delete what the source set aside beyond its newest `keep` frames."""


class RedisFrames:
    """Frames from the stream `…:frames`: `frame_id`, `image` (bytes) or `path`, optional `part_id`."""

    def __init__(self, wire: Wire, roots: tuple[Path, ...], max_bytes: int) -> None:
        self.trouble: str | None = None
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

    def tidy(self, keep: int) -> None:
        """Nothing: streams are trimmed by the wire."""

    def _frame(self, message: Message) -> Frame:
        sent_ms = int(message.entry.partition("-")[0])
        frame = Frame(f"entry:{message.entry}", "", "redis", sent_ms, None, receipt=message)
        try:
            frame_id, part_id = _id(message, "frame_id"), _id(message, "part_id")
            if frame_id is None:
                raise _malformed("a frame_id", "none")
            frame = replace(frame, frame_id=frame_id, part_id=part_id or frame_id)
            return replace(frame, data=self._data(message))
        except (FrameRejected, ImageRejected) as error:
            return replace(frame, problem=str(error))

    def _data(self, message: Message) -> bytes:
        image, path = message.fields.get("image"), _id(message, "path", MAX_PATH_CHARS)
        if image is not None and path is None:
            if len(image) > self._max_bytes:
                raise _malformed(f"an image of at most {self._max_bytes:,} bytes", f"{len(image):,}")
            return image
        if image is None and path is not None:
            return read_allowed(Path(path), self._roots, self._max_bytes)
        raise _malformed("exactly one of the fields `image` and `path`", "both" if image else "neither")


class WatchedFolder:
    """Image files that appear in a folder, oldest first; once judged they move to its subfolder `judged`.

    The frame id is the file's name and modification time, so a camera may use its names again.
    """

    def __init__(self, folder: Path, settle_ms: int, max_bytes: int) -> None:
        self.trouble: str | None = None
        self._folder = folder
        self._settle_ms = settle_ms
        self._max_bytes = max_bytes
        (folder / "judged").mkdir(parents=True, exist_ok=True)

    def read(self, block_ms: int) -> list[Frame]:
        """Up to one batch of the files that have settled: unchanged for `settle_ms`."""
        until = time.monotonic() + block_ms / 1000
        while not (found := self._settled()) and time.monotonic() < until:
            time.sleep(FOLDER_POLL_S)
        return [self._frame(path, modified_ns) for modified_ns, path in found[:FOLDER_BATCH]]

    def acknowledge(self, frame: Frame) -> None:
        """Move the file aside; a file that vanished meanwhile is no error."""
        path = frame.receipt
        assert isinstance(path, Path)  # noqa: S101  # made in _frame
        if path.exists():
            # Shortened: with the time before it, a long name would exceed what file systems allow.
            path.replace(self._folder / "judged" / f"{frame.sent_ms}.{path.stem[-MAX_STEM_CHARS:]}{path.suffix}")

    def tidy(self, keep: int) -> None:
        """Delete judged files but the newest `keep`: Driftline has its own copies, as retention says."""
        judged = sorted((self._folder / "judged").iterdir(), key=lambda path: path.name.split(".")[0].zfill(20))
        for path in judged[: max(len(judged) - keep, 0)]:
            path.unlink(missing_ok=True)

    def _settled(self) -> list[tuple[int, Path]]:
        limit_ns = time.time_ns() - self._settle_ms * 1_000_000
        found = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another program may take a file away at any time
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    stat = path.stat()
                    # A copy may carry an old modification time while it is still being written.
                    if max(stat.st_mtime_ns, stat.st_ctime_ns) <= limit_ns:
                        found.append((stat.st_mtime_ns, path))
        return sorted(found)

    def _frame(self, path: Path, modified_ns: int) -> Frame:
        name = named(Path(path.name))
        frame = Frame(f"{modified_ns}@{name}", Path(name).stem, "folder", modified_ns // 1_000_000, None, receipt=path)
        try:
            return replace(frame, data=read_allowed(path, (self._folder,), self._max_bytes))
        except ImageRejected as error:
            return replace(frame, problem=str(error))


def _id(message: Message, name: str, limit: int = MAX_ID_CHARS) -> str | None:
    try:
        value = message.text(name)
    except UnicodeDecodeError as error:
        raise _malformed(f"{name} in UTF-8", str(error)) from error
    if value is not None and not 0 < len(value) <= limit:
        raise _malformed(f"{name} of 1 to {limit} characters", f"{len(value)}")
    return value


def _malformed(expected: str, came: str) -> FrameRejected:
    return FrameRejected(expected=expected, came=came, do="correct the program that sends frames")
