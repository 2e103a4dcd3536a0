"""How errors are answered: as a page to a browser that opens one, and as JSON to programs and scripts."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from daemon.console.drafts import NothingTaught
from daemon.console.jobs import Busy
from daemon.console.reviews import AlreadyAnswered
from daemon.console.setup_check import NotMeant
from daemon.console.studies import StudyRefused
from daemon.console.templating import route, templates
from daemon.console.uploads import Superseded, UploadRefused
from daemon.console.worker import WorkerLost
from daemon.intake.decode import ImageRejected
from daemon.languages.speaking import gettext, said
from daemon.learning.answers import FeedbackRejected
from daemon.learning.operating_point import RateRefused
from daemon.learning.seen_again import DefectsLost
from daemon.learning.survey import TeachError
from daemon.reporting.pdf import NoPdf
from daemon.streams import RedisLost
from memory.errors import DriftlineError, ExtractorMismatch, StoreError
from memory.geometry import GeometryError
from memory.region import RegionRejected

STATUS: tuple[tuple[type[DriftlineError], int], ...] = (
    (AlreadyAnswered, 409),
    (Busy, 409),
    (NothingTaught, 409),
    (NotMeant, 409),
    (Superseded, 409),
    (RateRefused, 409),
    (TeachError, 409),
    (ExtractorMismatch, 409),
    (UploadRefused, 507),
    (StudyRefused, 409),
    (ImageRejected, 422),
    (RegionRejected, 422),
    (GeometryError, 422),
    (DefectsLost, 409),
    (FeedbackRejected, 404),
    (RedisLost, 503),
    (WorkerLost, 503),
    (NoPdf, 503),
    (StoreError, 409),
)
HEADINGS = {403: "You may not open this page", 404: "There is no such page", 422: "This address is not right"}


async def by_status(request: Request, error: Exception) -> Response:
    """The answer to an error that names its status. Whoever opens a page unknown is asked to log in."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for these alone
    if error.status_code == 401 and _opens_page(request):
        return RedirectResponse(f"{request.scope['root_path']}/login", 303)
    headers = dict(error.headers) if error.headers else None
    told = said(str(error.detail))
    return _answer(request, error.status_code, {"detail": told}, told, headers)


async def by_kind(request: Request, error: Exception) -> Response:
    """The answer to an error of ours, by its kind."""
    assert isinstance(error, DriftlineError)  # noqa: S101  # it is registered for these alone
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 404)
    words = {"expected": said(error.expected), "came": said(error.came), "do": said(error.do)}
    body = {"detail": said(str(error)), "kind": type(error).__name__, **words}
    return _answer(request, status, body, gettext("{came}. To do: {do}.", **words))


async def invalid(request: Request, error: Exception) -> Response:
    """The answer to an invalid request, without its values, which JSON may not be able to hold."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # it is registered for these alone
    found = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()]
    return _answer(request, 422, {"detail": found}, "; ".join(str(one["msg"]) for one in found))


def _answer(
    request: Request, status: int, body: dict[str, Any], words: str, headers: dict[str, str] | None = None
) -> Response:
    if not _opens_page(request):
        return JSONResponse(body, status, headers)
    line = request.app.state.services.line.settings.line
    root = request.scope.get("app_root_path", request.scope["root_path"])  # a mount below writes another
    shown = {"root": root, "line": line, "heading": HEADINGS.get(status, "This cannot be shown"), "words": words}
    return templates.TemplateResponse(request, "refusal.html.j2", shown, status, headers)


def _opens_page(request: Request) -> bool:
    """Whether a browser opens a page: images, scripts and programs ask for other things."""
    html = "text/html" in request.headers.get("accept", "")
    return html and request.method in {"GET", "HEAD"} and not route(request).startswith("/api/")
