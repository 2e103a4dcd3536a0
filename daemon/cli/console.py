"""`driftline console` and `token`: the console over HTTP, and tokens for it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
import typer

from daemon import build
from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.ledger.state import State, open_state
from daemon.settings.load import ConfigError, Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams

if TYPE_CHECKING:
    from daemon.console.line import LineView

NOT_COMPUTED = {"mqtt", "webhook", "modbus", "opcua", "telemetry"}  # they hold passwords, and compute nothing
TOKENS = Path("tokens.json")
NICENESS = 15
MOST_CONNECTIONS = 400  # fewer than the files a process may have open
log = structlog.get_logger()


def console(config: Config = None, overrides: Set = None) -> None:
    """Serve the line's pages and its HTTP API until stopped, beside `driftline run`."""
    import uvicorn

    from daemon.console.access import access
    from daemon.console.app import application
    from daemon.console.worker import Worker

    settings = terminal.settings(config, overrides)
    guard = access(settings.console)
    listening = _listening(settings.console)
    _frames_first()
    worker = Worker([sys.executable, "-P", "-m", "daemon.cli.worker"], settings.model_dump_json(exclude=NOT_COMPUTED))
    line = line_view(settings, open_state(settings.state_dir), build.redis_streams(settings))
    app = application(line, guard, worker)

    class Server(uvicorn.Server):
        """A server that ends its event streams first, so that it can stop."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.services.events.end()
            super().handle_exit(sig, frame)

    log.info("console", url=f"http://{settings.console.host}:{settings.console.port}", open=guard.open)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again once it has stopped
    served = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # we decide ourselves which proxies to believe: console.proxies
        timeout_graceful_shutdown=3,
        limit_concurrency=MOST_CONNECTIONS,
    )
    Server(served).run(sockets=[listening])
    log.info("stopped")


def line_view(settings: Settings, state: State, streams: RedisStreams) -> LineView:
    """The console's view of a line, with engines that are built here; no backbone is loaded yet."""
    from daemon.console.engines import Engines
    from daemon.console.line import LineView

    engines = Engines(
        lambda: build.extractor(settings),
        lambda backbone: build.engine(settings, state, backbone),
        lambda backbone: build.reference_engine(settings, state, backbone),
    )
    return LineView(settings, state, streams, engines)


def _listening(settings: ConsoleSettings) -> socket.socket:
    """A socket on the console's address. Raises ConfigError where that cannot be had."""
    host, port = settings.host, settings.port
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
    except OSError as error:
        raise ConfigError(
            expected="an address of this PC, and a port that nothing else listens on",
            came=f"{host}:{port}: {error.strerror or error}",
            do="stop what has the port (`ss -ltnp` names it), or set console.port to another",
        ) from error


def _frames_first() -> None:
    """Let this process run only on idle processors: a page may wait for a frame, and no frame for a page. A low
    priority alone is not enough, since each of a frame's many short steps may wait for a core (bench/console.py)."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(NICENESS)


def token(
    name: str,
    role: Annotated[Literal["viewer", "operator", "engineer"], typer.Argument(help="viewer, operator or engineer")],
    file: Annotated[
        Path | None, typer.Option(help="file of tokens; default: the one that console.tokens names")
    ] = None,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Make a token by which NAME is known to the console; it is shown once."""
    from daemon.console.access import Role, grant

    named = terminal.settings(config, overrides).console.tokens
    file = file or named or TOKENS
    secret = grant(file, name, Role[role.upper()])
    counts = "after a restart of the console" if file == named else f"once console.tokens is {file}"
    told = f"{name} is {role} by it, {counts}: `Authorization: Bearer …`. It is shown once; {file} keeps its digest"
    terminal.answer(
        {"name": name, "role": role, "token": secret, "file": str(file)},
        as_json=as_json,
        text=f"{secret}\n{told}",
    )
