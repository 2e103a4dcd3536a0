"""The HTTP API of the running line; `/openapi.json` describes it. Every route names the least role that it serves."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from daemon.console.access import Operator, Role, Viewer
from daemon.console.reviews import frame_fields
from daemon.console.services import Injected
from daemon.learning import answers
from daemon.ledger.audit_log import AuditFilter, entries
from daemon.ledger.frame_list import Search
from daemon.reporting.audit import csv_lines, json_lines

MOST_TAKEN_BACK = 200
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str | None, Query(max_length=answers.MAX_CHARS)]
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


class TakenBack(BaseModel):
    """Frames whose answers their operator takes back."""

    model_config = ConfigDict(extra="forbid")

    frame_ids: list[Annotated[str, Field(min_length=1, max_length=answers.MAX_CHARS)]] = Field(
        min_length=1, max_length=MOST_TAKEN_BACK
    )
    unrecorded: bool = Field(False, description="an answer about each was sent, and may not be recorded yet")


def searched(
    before: Annotated[int | None, Query(ge=1, le=2**62, description="sequence number")] = None,
    verdict: Literal["", "OK", "NG", "UNKNOWN"] = "",
    until_ms: Annotated[int | None, Query(ge=0, le=2**53, description="judged until then")] = None,
    name: Annotated[str, Query(max_length=answers.MAX_CHARS, description="how the frame's or part's id begins")] = "",
    unanswered: bool = False,
    answered_by: Annotated[str, Query(max_length=64, description="whose answers stand")] = "",
) -> Search:
    """The frames that a request looks for."""
    return Search(before, verdict or None, until_ms, name.strip() or None, unanswered, answered_by or None)


@router.get("/status")
def status(services: Injected, _: Viewer) -> dict[str, Any]:
    """The service, its version, its scene and its troubles."""
    return services.status.reported()


@router.get("/frames")
def frames(
    services: Injected,
    _: Viewer,
    search: Annotated[Search, Depends(searched)],
    limit: Limit = 50,
) -> list[dict[str, Any]]:
    """The newest judged frames that are looked for, newest first."""
    return [frame_fields(frame) for frame in services.parts.found(search, limit)]


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


@router.post("/answers/withdraw", status_code=202)
def withdraw(services: Injected, caller: Operator, body: TakenBack) -> dict[str, list[str]]:
    """Take back the caller's own answers, as long as nothing was learned from them."""
    return {"sent": services.reviews.withdraw(body.frame_ids, caller.name, unrecorded=body.unrecorded)}


@router.get("/drift")
def drift(services: Injected, _: Viewer, limit: Limit = 100) -> dict[str, Any]:
    """How the scene is now, and what was told of it."""
    return services.status.drift(limit)


@router.get("/audit")
def audit(
    services: Injected,
    _: Viewer,
    form: Annotated[Literal["csv", "jsonl"], Query(alias="format")] = "jsonl",
    since_ms: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    until_ms: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    who: Name = None,
    kind: Name = None,
    what: Annotated[str | None, Query(max_length=answers.MAX_CHARS, description="frame, part or version")] = None,
) -> Response:
    """Every change of what the line knows: who made it, when, and of what; each entry chained to the one before."""
    wanted = AuditFilter(since_ms, until_ms, who or None, kind or None, what or None)
    rows = entries(services.line.state.ledger, wanted)
    media, lines = ("text/csv", csv_lines(rows)) if form == "csv" else ("application/jsonl", json_lines(rows))
    name = {"Content-Disposition": f'attachment; filename="audit.{form}"'}
    return StreamingResponse(lines, media_type=media, headers=name)


@router.post("/score", openapi_extra=IMAGE)
async def score(services: Injected, request: Request, _: Operator) -> dict[str, Any]:
    """What the newest version says of the image in the body; nothing is recorded."""
    return await services.scoring(services.scorer.decode, services.scorer.score, await request.body())
