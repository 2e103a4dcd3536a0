"""`driftline console` and `token`: the console over HTTP, and tokens for it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
import typer

from daemon import build
from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.ledger.state import State, open_state
from daemon.settings.load import Settings
from daemon.streams import RedisStreams

if TYPE_CHECKING:
    from daemon.console.line import LineView

NICENESS = 15
MOST_CONNECTIONS = 400  # fewer than the files a process may have open
log = structlog.get_logger()


def console(config: Config = None, overrides: Set = None) -> None:
    """Serve the line's pages and its HTTP API until stopped, beside `driftline run`."""
    import uvicorn

    from daemon.console.access import access
    from daemon.console.app import application

    settings = terminal.settings(config, overrides)
    guard = access(settings.console)
    _frames_first()
    app = application(line_view(settings, open_state(settings.state_dir), build.redis_streams(settings)), guard)

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
        host=settings.console.host,
        port=settings.console.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # we decide ourselves which proxies to believe: console.proxies
        timeout_graceful_shutdown=3,
        limit_concurrency=MOST_CONNECTIONS,
    )
    Server(served).run()
    app.state.services.jobs.stop()
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
    file: Annotated[Path, typer.Option(help="the file that console.tokens names")] = Path("tokens.json"),
    as_json: Json = False,
) -> None:
    """Make a token by which NAME is known to the console; it is shown once."""
    from daemon.console.access import Role, grant

    secret = grant(file, name, Role[role.upper()])
    terminal.answer(
        {"name": name, "role": role, "token": secret, "file": str(file)},
        as_json=as_json,
        text=f"{secret}\n{name} is {role} by it: `Authorization: Bearer …`. It is shown once; {file} keeps its digest",
    )
