"""The HTTP API of the running line; `/openapi.json` describes it. Every route names the least role that it serves."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from daemon.console.access import Operator, Role, Viewer
from daemon.console.audit import audit as audit_entries
from daemon.console.services import Injected
from daemon.learning import answers

AUDIT_COLUMNS = ("at", "kind", "who", "what", "detail")
Share = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[int, Query(ge=1, le=1000)]
IMAGE = {"requestBody": {"content": {"image/*": {}}, "required": True}}
router = APIRouter(prefix="/api", tags=["line"])


class Said(BaseModel):
    """An operator's word on one frame."""

    model_config = ConfigDict(extra="forbid")

    frame_id: str = Field(min_length=1, max_length=answers.MAX_CHARS)
    verdict: Literal["good", "defect"]
    region: tuple[Share, Share, Share, Share] | None = Field(None, description="left, top, right, bottom")
    looked_ms: int | None = Field(None, ge=0, lt=10**answers.MOST_DIGITS, description="how long the part was shown")
    key: str = Field(default_factory=lambda: uuid.uuid4().hex, min_length=1, max_length=answers.MAX_CHARS)
    despite: bool = Field(False, description="send it although somebody else has answered")


@router.get("/status")
def status(services: Injected, _: Viewer) -> dict[str, Any]:
    """The service, its version, its scene and its troubles."""
    return services.status.reported()


@router.get("/frames")
def frames(
    services: Injected,
    _: Viewer,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    verdict: Literal["OK", "NG", "UNKNOWN"] | None = None,
    limit: Limit = 50,
) -> list[dict[str, Any]]:
    """The newest judged frames, newest first."""
    return services.reviews.frames(before, verdict, limit)


@router.get("/why/{name:path}")
def why(services: Injected, _: Viewer, name: str) -> list[dict[str, Any]]:
    """Why a frame, or each frame of a part, was judged so."""
    return services.reviews.why(name)


@router.get("/reviews")
def reviews(services: Injected, caller: Viewer, limit: Limit = 50) -> list[dict[str, Any]]:
    """The parts that people are asked about, the most urgent first; for an operator, now and then a known part among
    them."""
    return services.reviews.queue(limit, caller.name if caller.role >= Role.OPERATOR else None)


@router.post("/answers", status_code=202)
def answer(services: Injected, caller: Operator, body: Said) -> dict[str, str]:
    """Answer about a part. It goes the way of every answer: the service records it, each key once."""
    region = json.dumps(body.region) if body.region else None
    watched = body.looked_ms is not None and services.line.settings.policy.known_part_every > 0
    looked_ms = str(body.looked_ms) if watched else None
    checked = answers.answer(body.frame_id, body.verdict, caller.name, region, body.key, looked_ms)
    return {"sent": services.reviews.answer(checked, despite=body.despite), "key": checked.key}


@router.get("/drift")
def drift(services: Injected, _: Viewer, limit: Limit = 100) -> dict[str, Any]:
    """How the scene is now, and what was told of it."""
    return services.status.drift(limit)


@router.get("/audit")
def audit(
    services: Injected, _: Viewer, form: Annotated[Literal["csv", "jsonl"], Query(alias="format")] = "jsonl"
) -> Response:
    """Every change of what the line knows: who made it, when, and of what."""
    rows = audit_entries(services.line.state)
    kind, lines = ("text/csv", _csv(rows)) if form == "csv" else ("application/jsonl", _json_lines(rows))
    name = {"Content-Disposition": f'attachment; filename="audit.{form}"'}
    return StreamingResponse(lines, media_type=kind, headers=name)


@router.post("/score", openapi_extra=IMAGE)
async def score(services: Injected, request: Request, _: Operator) -> dict[str, Any]:
    """What the newest version says of the image in the body; nothing is recorded."""
    return await services.scoring(services.scorer.decode, services.scorer.score, await request.body())


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
    """A cell that a spreadsheet takes for text, not for a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
