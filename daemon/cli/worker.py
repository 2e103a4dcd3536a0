"""The process that computes for the console.

usage: python -m daemon.cli.worker SOCKET    (settings as one line of JSON on standard input, which stays open)

It serves the console's own application to the console alone, and ends when that does, or when it has had nothing to
do for a while.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
import time
from pathlib import Path

import uvicorn
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from daemon import build
from daemon.cli.console import line_view
from daemon.console.access import inner
from daemon.console.app import application
from daemon.console.worker import ENDING, WARM
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from daemon.settings.logs import log_to

IDLE_S, SENT_S, KEPT_S = 60.0, 600.0, 3600.0  # without a request; with images that were sent; with a draft to go live
LOOK_S = 1.0
FIRST_KILLED = "1000"


class Given(Settings):
    """Settings as the console has them, whatever the environment says."""

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # all sources come by name
        cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The constructor's values alone."""
        del settings_cls
        return (sources["init_settings"],)


class Served:
    """The console's application, and when it was last asked."""

    def __init__(self, settings: Settings) -> None:
        self.line = line_view(settings, open_state(settings.state_dir), build.redis_streams(settings))
        self.app = application(self.line, inner(settings.console))
        self.asked = 0
        self.ending = False
        self.last_s = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.ending:
            await Response(status_code=503, headers={ENDING: "1"})(scope, receive, send)
            return
        self.asked += 1
        try:
            if scope["path"] == WARM:
                await asyncio.to_thread(self.line.engines.backbone)
            await self.app(scope, receive, send)
        finally:
            self.asked -= 1
            self.last_s = time.monotonic()

    def idle(self, now_s: float) -> bool:
        """Whether nobody needs this process any more."""
        services = self.app.state.services
        works = services.jobs.newest is not None and not services.jobs.newest.ended
        kept_s = KEPT_S if services.drafts.draft_id() else SENT_S if services.drafts.uploads.begun else IDLE_S
        return not self.asked and not works and now_s - self.last_s > kept_s


def main(socket: str) -> None:
    """Serve until idle, or until standard input ends."""
    settings: Settings = Given.model_validate_json(sys.stdin.readline())
    log_to(settings.log_format)
    first_killed = Path("/proc/self/oom_score_adj")
    if first_killed.exists():
        first_killed.write_text(FIRST_KILLED, encoding="ascii")
    served = Served(settings)
    config = uvicorn.Config(
        served, uds=socket, log_config=None, access_log=False, server_header=False, date_header=False
    )
    server = uvicorn.Server(config)

    def until_the_console_ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=until_the_console_ends, daemon=True).start()

    async def serve() -> None:
        serving = asyncio.create_task(server.serve())
        while not serving.done():
            await asyncio.wait([serving], timeout=LOOK_S)
            if served.idle(time.monotonic()):
                served.ending = server.should_exit = True
        await serving

    asyncio.run(serve())
    served.app.state.services.jobs.stop()
    shutil.rmtree(Path(socket).parent, ignore_errors=True)  # a console that was killed cannot


if __name__ == "__main__":
    main(sys.argv[1])
