"""`driftline run`: the service of a line under a supervisor, from its start to SIGTERM, with SIGHUP in between."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any

import structlog

from daemon import build, clock
from daemon.cli import terminal
from daemon.cli.supervisor import Supervisor
from daemon.cli.terminal import Config, Set
from daemon.ledger.audit_log import note_settings
from daemon.ledger.database import DISK_ERRORS
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import ConfigError, Settings
from daemon.settings.logs import log_to

AUDITED = ("extractor", "memory", "scene", "source", "policy", "retention")
RELOADED = ("policy", "retention")  # what is asked for anew whenever it is needed; the rest is built in at the start
log = structlog.get_logger()


def run(config: Config = None, overrides: Set = None) -> None:
    """Score the line's frames until stopped (SIGTERM finishes the frame in hand and exits 0; SIGHUP reads the settings
    of policy and retention anew)."""
    from daemon import schedule

    settings = terminal.settings(config, overrides)
    if settings.log_file:
        log_to(settings.log_format, settings.log_file, settings.log_mb)
    supervisor, asked = Supervisor(os.environ), threading.Event()
    with build.only_one(settings.state_dir):
        opened = open_state(settings.state_dir)
        service = build.service(settings, opened, build.extractor(settings), build.redis_streams(settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: service.stopping.set())
        signal.signal(signal.SIGHUP, lambda *_: asked.set())

        def between() -> None:
            supervisor.alive()
            if asked.is_set():
                asked.clear()
                supervisor.reloading()
                reload(service, config, overrides)
                supervisor.ready()

        service.start()
        with contextlib.suppress(*DISK_ERRORS):
            note_settings(opened.ledger, clock.unix_ms(), audited(settings))
        with contextlib.suppress(*DISK_ERRORS):  # a full disk waits for retention
            schedule.snapshot(service)
        log.info("running", line=settings.line, source=settings.source.kind, state=str(settings.state_dir))
        with schedule.jobs_beside(service):
            supervisor.ready()
            service.run(between)
            supervisor.stopping()
        with contextlib.suppress(*DISK_ERRORS):  # then it is seen to have stopped some seconds later
            opened.ledger.set_status("service", {**service.status(), "stopped_ms": clock.unix_ms()})
        service.source.close()
        opened.ledger.close()
        log.info("stopped")


def reload(service: Service, config: Config, overrides: Set) -> None:
    """Take the settings of `RELOADED` from the file; settings that are wrong change nothing. Both are told, and so is
    what else has changed, which a restart takes."""
    engine = service.engine
    try:
        fresh = terminal.read_settings(config, overrides)
    except ConfigError as error:
        _tell(service, "reload_refused", error=str(error))
        return
    changed = changed_sections(engine.settings, fresh)
    taken = [name for name in changed if name in RELOADED]
    waiting = [name for name in changed if name not in RELOADED]
    engine.settings = engine.settings.model_copy(update={name: getattr(fresh, name) for name in taken})
    _tell(service, "reloaded", taken=taken, wait_for_a_restart=waiting)
    with contextlib.suppress(*DISK_ERRORS):
        note_settings(engine.ledger, engine.clock_ms(), audited(engine.settings))


def audited(settings: Settings) -> dict[str, Any]:
    """The settings by which a line judges, learns and keeps, by their whole names; a camera's address may hold a
    password."""
    sections = {name: getattr(settings, name).model_dump(mode="json") for name in AUDITED}
    named = {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
    return {name: value for name, value in named.items() if name != "source.camera"}


def _tell(service: Service, kind: str, **detail: object) -> None:
    log.warning(kind, **detail)
    with contextlib.suppress(*DISK_ERRORS):
        service.engine.ledger.event(service.engine.clock_ms(), kind, **detail)


def changed_sections(before: Settings, after: Settings) -> list[str]:
    """The names of the sections and keys that differ."""
    return [name for name in type(before).model_fields if getattr(before, name) != getattr(after, name)]
