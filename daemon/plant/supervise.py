"""Supervision of all configured connectors: each is restarted independently of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module

import structlog

from daemon.plant.feed import Feed
from daemon.settings.load import Settings
from daemon.settings.models import ConnectorSettings
from memory.errors import DriftlineError

# Each connector and its library. Its name is that of a module here with `serve`, of a section of the settings that may
# be `enabled`, and of the extra that installs the library.
CONNECTORS = {"mqtt": "paho", "webhook": "standardwebhooks", "modbus": "pymodbus", "opcua": "asyncua"}
BACKOFF_FIRST_S, BACKOFF_LAST_S = 0.5, 60.0
Serve = Callable[[Feed], Awaitable[None]]
log = structlog.get_logger()


class NoConnector(DriftlineError):
    """No connector is configured, or the library of a configured one is not installed."""


def enabled(settings: Settings) -> dict[str, Serve]:
    """The connectors that are configured. Raises NoConnector where there is none, or one's library is missing."""
    sections: dict[str, ConnectorSettings] = {name: getattr(settings, name) for name in CONNECTORS}
    names = [name for name, section in sections.items() if section.enabled]
    if not names:
        *others, last = (f"{name}.{section.enabled_by}" for name, section in sections.items())
        raise NoConnector(
            expected=f"{', '.join(others)} or {last} in config.yaml",
            came="none of them",
            do="set one; `driftline config schema` lists all",
        )
    found = {name: _serve(name) for name in names}
    if settings.webhook.enabled and settings.reports.webhook:
        found["webhook-reports"] = _serve("webhook", "serve_reports")
    return found


async def supervise(feed: Feed, connectors: dict[str, Serve]) -> None:
    """Run all connectors until cancelled, and restart those that end."""
    async with asyncio.TaskGroup() as together:
        together.create_task(feed.follow_condition())
        for name, serve in connectors.items():
            together.create_task(_keep_serving(feed, name, serve))


async def _keep_serving(feed: Feed, name: str, serve: Serve) -> None:
    """Run one connector. Why it ended is recorded once, and it is restarted after a growing delay."""
    backoff_s, away = BACKOFF_FIRST_S, False
    loop = asyncio.get_running_loop()
    while True:
        began_s, taken = loop.time(), feed.taken.get(name)
        log.info("connector begins", connector=name)
        reason = "it ended"
        try:
            await serve(feed)
        except* Exception as errors:
            reason = "; ".join(str(error) or type(error).__name__ for error in _plain(errors))
        if feed.taken.get(name) != taken:
            backoff_s = BACKOFF_FIRST_S
        if loop.time() - began_s > BACKOFF_LAST_S:
            backoff_s, away = BACKOFF_FIRST_S, False  # it ran for a while, so its end is recorded again
        if not away:
            feed.record_event("plant_away", wire=name, error=reason)
        log.error("connector away", connector=name, error=reason, again_in_s=backoff_s)
        away = True
        await asyncio.sleep(backoff_s)
        backoff_s = min(2 * backoff_s, BACKOFF_LAST_S)


def _plain(errors: BaseExceptionGroup) -> list[BaseException]:
    return [e for one in errors.exceptions for e in (_plain(one) if isinstance(one, BaseExceptionGroup) else [one])]


def _serve(name: str, function: str = "serve") -> Serve:
    try:
        serve: Serve = getattr(import_module(f"daemon.plant.{name}"), function)
    except ImportError as error:
        raise NoConnector(
            expected=f"{CONNECTORS[name]}, which the connector {name} needs",
            came=str(error),
            do=f"pip install 'driftline[{name}]'",
        ) from error
    return serve
