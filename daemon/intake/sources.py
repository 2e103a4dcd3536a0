"""A frame, and the interface of all sources of frames: a Redis Stream, a watched folder, a camera."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

MAX_STEM_CHARS = 40


@dataclass(frozen=True)
class Frame:
    """One frame to judge. `data` is the camera's bytes, or None with the reason in `problem`.

    `sent_ms` (Unix time) is when the line handed it over; `receipt` belongs to the source. One that was `imported`
    never passed the line: it does not count for the scene, nobody is asked about it, and its verdict is not published.
    So many frames waited `behind` it when it was read. It `may_repeat` the frame before it to the bit where its source
    tells by other means that a camera hangs.
    """

    frame_id: str
    part_id: str
    source: str
    sent_ms: int
    data: bytes | None
    problem: str | None = None
    imported: bool = False
    behind: int = 0
    may_repeat: bool = False
    receipt: object = field(default=None, repr=False)

    @cached_property
    def image_sha256(self) -> str | None:
        """The SHA-256 of its image file in hex; None without one."""
        return None if self.data is None else hashlib.sha256(self.data).hexdigest()


def reused(frame: Frame, image_sha256: str | None) -> Frame:
    """The frame as it is where it repeats the image of an earlier one of the same id; otherwise a frame with a new id
    and a problem.

    A frame counter that restarts must not make new parts look judged: the line gets an UNKNOWN, with the reason.
    """
    digest = frame.image_sha256 or hashlib.sha256(b"").hexdigest()
    if image_sha256 in {None, digest}:
        return frame
    return replace(
        frame,
        frame_id=f"{frame.frame_id}@{digest[:12]}",
        problem=f"frame id {frame.frame_id} was used before for another image; ids must be unique for ever",
    )


class Source(Protocol):
    """A source of frames. What was read and not acknowledged is delivered again after a crash, except by a camera.
    `trouble` says why no frames come, where the source knows."""

    trouble: str | None

    def read(self, block_ms: int) -> list[Frame]:
        """The next frames, in order; waits up to `block_ms` for the first. Raises RedisLost."""

    def acknowledge(self, frame: Frame) -> None:
        """Acknowledge a frame, whose verdict is durable now. Raises RedisLost."""

    def tidy(self, keep: int) -> None:
        """Delete what the source set aside beyond its newest `keep` frames."""

    def close(self) -> None:
        """Release what the source holds; nothing is read from it any more."""
