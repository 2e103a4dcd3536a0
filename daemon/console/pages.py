"""The pages that people look at, the images on them, and the news that keeps them fresh."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import cv2
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.templating import Jinja2Templates
from pydantic import Field

from daemon.console.access import Caller, Viewer
from daemon.console.line import Line
from daemon.console.news import News

HERE = Path(__file__).parent
PAGES = (("/", "Live"), ("/review", "Review"))
JPEG_QUALITY = 88
Seq = Annotated[int, Field(ge=1, le=2**62)]
router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(HERE / "templates")


@router.get("/", response_class=HTMLResponse)
def live(request: Request, caller: Viewer) -> Response:
    """The newest part and its verdict, readable at two metres."""
    line: Line = request.app.state.line
    said = line.summary()
    trust = (said.get("drift") or {}).get("trust", "unknown")
    return _page(request, caller, "live", said=said, trust=trust)


@router.get("/review", response_class=HTMLResponse)
def review(request: Request, caller: Viewer) -> Response:
    """The parts that people are asked about."""
    return _page(request, caller, "review")


@router.get("/frames/{seq}/{kind}.jpg")
def image(request: Request, _: Viewer, seq: Seq, kind: str) -> Response:
    """A kept frame as its camera saw it, or with its anomaly map; no path from a request reaches the disk."""
    line: Line = request.app.state.line
    pixels = line.picture(seq, heat=kind == "heat") if kind in {"image", "heat"} else None
    if pixels is None:
        raise HTTPException(404, "this image is not kept any more")
    done, encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done  # noqa: S101  # memory only
    return Response(encoded.tobytes(), media_type="image/jpeg")


@router.get("/events")
def events(request: Request, _: Viewer) -> StreamingResponse:
    """News as server-sent events: frames as they are judged, and the status."""
    news: News = request.app.state.news

    async def told() -> AsyncIterator[str]:
        with news.subscribed() as mine:
            yield "retry: 2000\n\n"
            while True:
                yield await mine.get()

    return StreamingResponse(told(), media_type="text/event-stream")


def _page(request: Request, caller: Caller, name: str, **shown: Any) -> Response:
    line: Line = request.app.state.line
    held = {"line": line.settings.line, "pages": PAGES, "here": request.url.path, "caller": caller}
    return templates.TemplateResponse(request, f"{name}.html.j2", held | shown)
