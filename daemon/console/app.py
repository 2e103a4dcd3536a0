"""The console as one ASGI application: routes, guards and error responses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.console import api, api_versions, health, login, pages, refusals, reports, study_pages
from daemon.console.access import SAFE, Access, from_elsewhere, is_loopback
from daemon.console.computed import Computed
from daemon.console.line import LineView
from daemon.console.services import services_of
from daemon.console.templating import route
from daemon.console.worker import Worker
from daemon.languages.speaking import said, speaking, wanted
from memory.errors import DriftlineError

CHANGES_A_MINUTE, READS_A_MINUTE = 600, 6_000
SMALL_BODY_BYTES = 64_000
FROM_ELSEWHERE = "another site's page sent this; a proxy must pass Host on (nginx: `proxy_set_header Host $http_host;`)"
LANGUAGE = "driftline-language"  # the cookie of words.js
TAKE_IMAGES = {"/api/score", "/api/setup/images", "/api/setup/check"}
ROUTERS = (
    pages.router,
    reports.router,
    study_pages.router,
    login.router,
    health.router,
    api.router,
    api_versions.router,
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
log = structlog.get_logger()


def application(line: LineView, access: Access, worker: Worker | None = None) -> FastAPI:
    """The console of a line. Nothing is read or written before the first request. What takes a network or a bank is
    computed by the `worker`, or here without one."""
    services = services_of(line, access)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        reading = asyncio.create_task(services.events.run())
        yield
        reading.cancel()
        if worker is not None:
            await worker.stop()

    about = f"Line {line.settings.line}"
    app = FastAPI(title="Driftline", description=about, docs_url=None, redoc_url=None, lifespan=living)
    app.state.services = services
    app.mount("/static", StaticFiles(directory=pages.HERE / "static"))
    for routes in ROUTERS:
        app.include_router(routes)
    app.add_exception_handler(DriftlineError, refusals.by_kind)
    app.add_exception_handler(HTTPException, refusals.by_status)
    app.add_exception_handler(RequestValidationError, refusals.invalid)
    settings = line.settings
    if worker is not None:
        app.add_middleware(Computed, worker=worker, access=access)
    app.add_middleware(Guard, access=access, max_bytes=settings.source.max_bytes, prefix=settings.console.prefix)
    return app


class Guard:
    """Middleware that refuses requests before any route, and adds security headers to every response.

    It says where the console lies: requests come with its `prefix`, or without where a proxy has taken that away; and
    in which language it is answered: the one that was chosen in the browser, or that the browser accepts best.
    """

    def __init__(self, app: ASGIApp, access: Access, max_bytes: int, prefix: str) -> None:
        self._app = app
        self._access = access
        self._max_bytes = max_bytes
        self._prefix = prefix
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(self._prefix) or "/"
        scope = {**scope, "root_path": self._prefix, "path": self._prefix + path}

        async def forbidding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        language = wanted(request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", ""))
        with speaking(language):
            refused = None if self._access.inner else _refused(request, self._access, self._max_bytes, self._limiter)
            await (refused or self._app)(scope, receive, forbidding)


def _refused(request: Request, access: Access, max_bytes: int, limiter: FixedWindowRateLimiter) -> JSONResponse | None:
    """The response that refuses a request before its body is read; None where it is not refused."""
    changes = request.method not in SAFE
    who = access.sender(request)
    most, kind = RateLimitItemPerMinute(CHANGES_A_MINUTE if changes else READS_A_MINUTE), str(changes)
    if not limiter.hit(most, who, kind):
        wait_s = max(int(limiter.get_window_stats(most, who, kind).reset_time - time.time()), 1)
        return _no(429, "too many requests", {"Retry-After": str(wait_s)})
    if access.open and not is_loopback(request.headers.get("host", "")):
        return _no(403, "an open console serves this PC alone: use http://127.0.0.1")
    if from_elsewhere(request):
        return _no(403, FROM_ELSEWHERE)
    if changes:
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            return _no(411, "say how long the body is: Content-Length")
        allowed = max_bytes if route(request) in TAKE_IMAGES else SMALL_BODY_BYTES
        if int(length) > allowed:
            return _no(413, f"at most {allowed:,} bytes")
    return None


def _no(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    log.warning("request refused", status=status, why=why)
    return JSONResponse({"detail": said(why)}, status, headers)
