"""The console as one ASGI application: routes, guards and how trouble is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from daemon.console import api, health, pages
from daemon.console.access import SAFE, Access, from_elsewhere, is_loopback
from daemon.console.line import Answered, Line
from daemon.console.news import News
from daemon.feedback import FeedbackRejected
from daemon.frames import ImageRejected
from daemon.wire import WireLost
from memory.errors import DriftlineError, StoreError

CHANGES_A_MINUTE, READS_A_MINUTE = 300, 6_000
SMALL_BODY_BYTES = 64_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
STATUS: tuple[tuple[type[DriftlineError], int], ...] = (
    (Answered, 409),
    (ImageRejected, 422),
    (FeedbackRejected, 404),
    (WireLost, 503),
    (StoreError, 409),
)
Next = Callable[[Request], Awaitable[Response]]
log = structlog.get_logger()


def application(line: Line, access: Access) -> FastAPI:
    """The console of a line. Nothing is read or written before the first request."""
    news = News(line)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        reading = asyncio.create_task(news.run())
        yield
        reading.cancel()

    about = f"Line {line.settings.line}"
    app = FastAPI(title="Driftline", description=about, docs_url=None, redoc_url=None, lifespan=living)
    app.state.line, app.state.access, app.state.news = line, access, news
    app.mount("/static", StaticFiles(directory=pages.HERE / "static"))
    app.include_router(pages.router)
    app.include_router(health.router)
    app.include_router(api.router)
    app.add_exception_handler(DriftlineError, _told)
    limiter = FixedWindowRateLimiter(MemoryStorage())

    @app.middleware("http")
    async def guard(request: Request, call_next: Next) -> Response:
        answer = _refused(request, access, line.settings.source.max_bytes, limiter) or await call_next(request)
        answer.headers.update(HEADERS)
        return answer

    return app


def _refused(request: Request, access: Access, max_bytes: int, limiter: FixedWindowRateLimiter) -> JSONResponse | None:
    """Why a request is not even looked at, before a byte of its body is read."""
    changes = request.method not in SAFE
    who = request.client.host if request.client else "?"
    if access.open and not is_loopback(request.headers.get("host", "")):
        return _no(403, "an open console serves this PC alone: use http://127.0.0.1")
    if from_elsewhere(request):
        return _no(403, "another site's page sent this")
    most, kind = RateLimitItemPerMinute(CHANGES_A_MINUTE if changes else READS_A_MINUTE), str(changes)
    if not limiter.hit(most, who, kind):
        wait_s = max(int(limiter.get_window_stats(most, who, kind).reset_time - time.time()), 1)
        return _no(429, "too many requests", {"Retry-After": str(wait_s)})
    if changes:
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            return _no(411, "say how long the body is: Content-Length")
        allowed = max_bytes if request.url.path == "/api/score" else SMALL_BODY_BYTES
        if int(length) > allowed:
            return _no(413, f"at most {allowed:,} bytes")
    return None


async def _told(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DriftlineError)  # noqa: S101  # it is registered for these alone
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 404)
    said = {"detail": str(error), "expected": error.expected, "came": error.came, "do": error.do}
    return JSONResponse(said, status)


def _no(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    log.warning("request refused", status=status, why=why)
    return JSONResponse({"detail": why}, status, headers)
