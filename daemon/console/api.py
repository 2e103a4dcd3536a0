"""The HTTP API; `/openapi.json` describes it. Every route names the least role that it serves."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from daemon import feedback
from daemon.console.access import Engineer, Operator, Viewer
from daemon.console.line import Line

AUDIT_COLUMNS = ("at", "kind", "who", "what", "detail")
Share = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Number = Annotated[int, Field(ge=1, le=2**53)]
router = APIRouter(prefix="/api", tags=["line"])


class Given(BaseModel):
    """An operator's word on one frame."""

    model_config = ConfigDict(extra="forbid")

    frame_id: str = Field(min_length=1, max_length=feedback.MAX_CHARS)
    verdict: Literal["good", "defect"]
    region: tuple[Share, Share, Share, Share] | None = Field(None, description="left, top, right, bottom")
    key: str = Field(default_factory=lambda: uuid.uuid4().hex, min_length=1, max_length=feedback.MAX_CHARS)
    despite: bool = Field(False, description="send it although somebody else has answered")


def _line(request: Request) -> Line:
    found: Line = request.app.state.line
    return found


@router.get("/status")
def status(request: Request, _: Viewer) -> dict[str, Any]:
    """The service, its version, its scene and its troubles."""
    return _line(request).status()


@router.get("/frames")
def frames(
    request: Request,
    _: Viewer,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    verdict: Literal["OK", "NG", "UNKNOWN"] | None = None,
    limit: Limit = 50,
) -> list[dict[str, Any]]:
    """The newest judged frames, newest first."""
    return _line(request).frames(before, verdict, limit)


@router.get("/why/{name:path}")
def why(request: Request, _: Viewer, name: str) -> list[dict[str, Any]]:
    """Why a frame, or each frame of a part, was judged so."""
    return _line(request).why(name)


@router.get("/reviews")
def reviews(request: Request, _: Viewer, limit: Limit = 50) -> list[dict[str, Any]]:
    """The parts that people are asked about, the most urgent first."""
    return _line(request).reviews(limit)


@router.post("/answers", status_code=202)
def answer(request: Request, caller: Operator, given: Given) -> dict[str, str]:
    """Answer about a part. It goes the way of every answer: the service records it, each key once."""
    region = json.dumps(given.region) if given.region else None
    said = feedback.answer(given.frame_id, given.verdict, caller.name, region, given.key)
    return {"sent": _line(request).answer(said, despite=given.despite), "key": said.key}


@router.get("/versions")
def versions(request: Request, _: Viewer) -> list[dict[str, Any]]:
    """All versions, newest first."""
    return _line(request).versions()


@router.get("/versions/{number}")
def version(request: Request, _: Viewer, number: Number) -> dict[str, Any]:
    """One version's whole manifest."""
    return _line(request).version(number)


@router.post("/versions/{number}/rollback", status_code=201)
def rollback(request: Request, caller: Engineer, number: Number) -> dict[str, Any]:
    """A new version with this one's contents and today's confirmed defects."""
    return _line(request).rollback(number, caller.name)


@router.get("/drift")
def drift(request: Request, _: Viewer, limit: Limit = 100) -> dict[str, Any]:
    """How the scene is now, and what was told of it."""
    return _line(request).drift(limit)


@router.get("/audit")
def audit(
    request: Request, _: Viewer, form: Annotated[Literal["csv", "jsonl"], Query(alias="format")] = "jsonl"
) -> Response:
    """Every change of what the line knows: who made it, when, and of what."""
    rows = _line(request).audit()
    kind, lines = ("text/csv", _csv(rows)) if form == "csv" else ("application/jsonl", _json_lines(rows))
    name = {"Content-Disposition": f'attachment; filename="audit.{form}"'}
    return StreamingResponse(lines, media_type=kind, headers=name)


@router.post("/score", openapi_extra={"requestBody": {"content": {"image/*": {}}, "required": True}})
async def score(request: Request, _: Operator) -> dict[str, Any]:
    """What the newest version says of the image in the body; nothing is recorded."""
    return await run_in_threadpool(_line(request).score, await request.body())


def _json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    out = io.StringIO()
    table = csv.DictWriter(out, AUDIT_COLUMNS)
    table.writeheader()
    for row in rows:
        table.writerow({name: _plain(value) for name, value in row.items()})
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _plain(value: str) -> str:
    """As text even to a spreadsheet, which takes what begins so for a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
