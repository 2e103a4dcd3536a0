"""`driftline plant`: the connectors to the plant's systems."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import structlog

from daemon import build
from daemon.cli import terminal
from daemon.cli.terminal import Config, Set
from daemon.ledger.state import open_state

log = structlog.get_logger()


def plant(config: Config = None, overrides: Set = None) -> None:
    """Tell the plant's systems what is judged, by MQTT, webhook, Modbus TCP and OPC UA, until stopped; beside `run`."""
    from daemon.plant.feed import Feed
    from daemon.plant.supervise import enabled, supervise

    settings = terminal.settings(config, overrides)
    connectors = enabled(settings)
    state = open_state(settings.state_dir)
    feed = Feed(settings, state.ledger, build.redis_streams(settings))

    async def serve() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # it runs in one
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        log.info("plant", line=settings.line, connectors=sorted(connectors))
        await supervise(feed, connectors)

    with build.only_one(settings.state_dir / "plant"), contextlib.suppress(asyncio.CancelledError):
        asyncio.run(serve())
    state.ledger.close()
    log.info("stopped")
