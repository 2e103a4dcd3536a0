"""Frames that were read and wait for their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from daemon.intake.onto_canvas import Decoded
from daemon.intake.sources import Frame

AHEAD = 4  # images: a canvas may take tens of megabytes


class Waits(NamedTuple):
    """A frame that waits, and its image, which is decoded beforehand; None where it carries none."""

    frame: Frame
    image: Future[Decoded] | None


class Waiting:
    """The frames that were read and not judged yet, in order. A thread of its own decodes the images of the next."""

    def __init__(self, decode: Callable[[bytes], Decoded]) -> None:
        self._decode = decode
        self._thread = ThreadPoolExecutor(1, "decode")
        self._frames: deque[Frame] = deque()
        self._next: deque[Waits] = deque()

    def __bool__(self) -> bool:
        return bool(self._next or self._frames)

    def add(self, frames: Iterable[Frame]) -> None:
        """Let frames wait behind the others."""
        self._frames.extend(frames)
        self._decode_ahead()

    def take(self) -> Waits:
        """The first frame, which waits no more."""
        first = self._next.popleft()
        self._decode_ahead()
        return first

    @property
    def following(self) -> tuple[Waits, ...]:
        """The frames that are next now, `AHEAD` at most."""
        return tuple(self._next)

    def forget(self) -> None:
        """Forget all: their source will give them again."""
        for each in self._next:
            if each.image:
                each.image.cancel()
        self._next.clear()
        self._frames.clear()

    def _decode_ahead(self) -> None:
        while self._frames and len(self._next) < AHEAD:
            frame = self._frames.popleft()
            image = self._thread.submit(self._decode, frame.data) if frame.data is not None else None
            self._next.append(Waits(frame, image))
