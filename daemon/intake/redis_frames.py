"""Frames from the line's Redis Stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daemon.intake.decode import ImageRejected, read_allowed
from daemon.intake.sources import Frame
from daemon.settings.load import Settings
from daemon.streams import BATCH, Message, RedisStreams, Stream
from memory.errors import DriftlineError

MAX_ID_CHARS = 256
MAX_PATH_CHARS = 4096
MOST_FRAMES, MOST_BYTES = 32, 32 << 20


class FrameRejected(DriftlineError):
    """A frame message that does not follow the contract; it goes to the dead-letter stream."""


class RedisFrames:
    """Frames from the stream `…:frames`: `frame_id`, `image` (bytes) or `path`, optional `part_id`."""

    def __init__(self, streams: RedisStreams, roots: tuple[Path, ...], max_bytes: int) -> None:
        self.trouble: str | None = None
        self._streams = streams
        self._roots = roots
        self._max_bytes = max_bytes
        self._most, self._largest = BATCH, 0

    def read(self, block_ms: int) -> list[Frame]:
        """Up to one batch of messages; a malformed one becomes a frame with a problem, never an exception. It is
        of `MOST_FRAMES`, and by the largest image so far of `MOST_BYTES`."""
        messages = self._streams.read(Stream.FRAMES, block_ms, self._most)
        # A batch that is not full was all that waited.
        beyond = self._streams.undelivered(Stream.FRAMES) if len(messages) == self._most else 0
        waiting = range(len(messages) - 1 + beyond, -1, -1)
        frames = [replace(self._frame(m), behind=n) for m, n in zip(messages, waiting, strict=False)]
        self._largest = max([self._largest, *(len(frame.data) for frame in frames if frame.data)])
        if self._largest:
            self._most = max(1, min(MOST_FRAMES, MOST_BYTES // self._largest))
        return frames

    def acknowledge(self, frame: Frame) -> None:
        """Acknowledge; a frame that could not be used goes to the dead-letter stream, with the reason."""
        message = frame.receipt
        assert isinstance(message, Message)  # noqa: S101  # made in _frame
        if frame.problem is None:
            self._streams.acknowledge(message)
        else:
            self._streams.bury(message, frame.problem)

    def tidy(self, keep: int) -> None:
        """Does nothing: streams are trimmed by retention."""

    def close(self) -> None:
        """Does nothing: the service owns the streams."""

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
            image = message.fields.get("image")  # kept aside, where it may be looked at
            return replace(frame, data=image if image and len(image) <= self._max_bytes else None, problem=str(error))

    def _data(self, message: Message) -> bytes:
        image, path = message.fields.get("image"), _id(message, "path", MAX_PATH_CHARS)
        if image is not None and path is None:
            if len(image) > self._max_bytes:
                raise _malformed(f"an image of at most {self._max_bytes:,} bytes", f"{len(image):,}")
            return image
        if image is None and path is not None:
            return read_allowed(Path(path), self._roots, self._max_bytes)
        raise _malformed("exactly one of the fields `image` and `path`", "both" if image else "neither")


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


def open_source(settings: Settings, streams: RedisStreams) -> RedisFrames:
    """The line's own stream of frames."""
    return RedisFrames(streams, settings.source.allowed_roots, settings.source.max_bytes)
