"""`driftline plant`: verdicts to the plant's systems, and frames from them."""

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
    from daemon.plant.supervise import supervise, wanted

    given = terminal.settings(config, overrides)
    wires = wanted(given)
    opened = open_state(given.state_dir)
    feed = Feed(given, opened.ledger, build.wire(given))

    async def serve() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # it runs in one
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        log.info("plant", line=given.line, wires=sorted(wires))
        await supervise(feed, wires)

    with build.only_one(given.state_dir / "plant"), contextlib.suppress(asyncio.CancelledError):
        asyncio.run(serve())
    opened.ledger.close()
    log.info("stopped")
