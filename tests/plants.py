"""What the tests of the plant's connectors share: a feed, a connector that is served meanwhile, and patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from conftest import frame
from pictures import png

from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger.state import open_state
from daemon.plant.feed import Feed
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams

GIVE_UP_S = 60.0


@asynccontextmanager
async def running(feed: Feed, serve: Callable[[Feed], Awaitable[None]]) -> AsyncIterator[None]:
    """A connector that is served meanwhile; what it raises fails the test."""
    tasks = [asyncio.ensure_future(serve(feed)), asyncio.ensure_future(feed.follow_condition())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(e, asyncio.CancelledError) for e in ended), ended


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds, and give up after a minute."""
    for _ in range(2_400):
        if await holds():
            return
        await asyncio.sleep(GIVE_UP_S / 2_400)
    raise AssertionError("it did not come to pass")


def judge_and_report(service: Service, name: str, flaw: Flaw | None = None) -> None:
    """Judge a part and report the service's status, as the service does."""
    service.engine.judge(frame(name, png(610, STEADY, flaw)))
    service.engine.ledger.set_status("service", service.status())


def feed_of(service: Service, settings: Settings, wire: RedisStreams, **also: Any) -> Feed:
    """The feed of a line with these connectors, which may have judged parts already."""
    wire.prepare()
    service.engine.ledger.set_status("service", service.status())
    return Feed(settings.model_copy(update=also), open_state(settings.state_dir).ledger, wire)


async def checked(holds: Callable[[], bool]) -> bool:
    """A condition that needs no waiting, in the form that `until` takes."""
    return holds()
