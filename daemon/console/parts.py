"""What a console is made of, as its routes are handed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from daemon.console.access import Access
from daemon.console.desk import Desk
from daemon.console.history import History
from daemon.console.line import LineView
from daemon.console.news import EventBroadcaster
from memory.features import Image

IMAGES_AT_ONCE = 2
Args = TypeVarTuple("Args")
T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """One of each, for one line."""

    line: LineView
    history: History
    desk: Desk
    news: EventBroadcaster
    access: Access
    _images: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(IMAGES_AT_ONCE))
    _looks: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))

    async def decoding(self, call: Callable[[*Args], T], *given: *Args) -> T:
        """`call` in a thread, for what decodes images: of a hundred million pixels each a few fill the memory."""
        return await to_thread.run_sync(call, *given, limiter=self._images)

    async def looking(self, call: Callable[[Image], T], data: bytes) -> T:
        """`call` in a thread with an image, for what takes the backbone: one after the other. Who waits holds neither a
        thread nor what decodes images, which pages need to show theirs. Raises ImageRejected."""
        image = await self.decoding(self.desk.decoded, data)
        return await to_thread.run_sync(call, image, limiter=self._looks)


def parts_of(line: LineView, access: Access) -> Services:
    """The console's parts; nothing is read yet."""
    return Services(line, History(line), Desk(line), EventBroadcaster(line), access)


async def _parts(request: Request) -> Services:
    found: Services = request.app.state.parts
    return found


Given = Annotated[Services, Depends(_parts)]
