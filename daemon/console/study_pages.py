"""The pages and routes of attribute agreement studies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from daemon.console.access import Caller, Engineer, Operator, Role, Viewer
from daemon.console.pages import Number, shown
from daemon.console.services import Injected, Services
from daemon.console.studies import MACHINE
from daemon.learning.answers import MAX_CHARS
from daemon.ledger.studies import Rating
from policies.verdict import Label

Person = Annotated[str, Field(min_length=1, max_length=64)]
As = Annotated[str, Query(alias="as", max_length=64, description="on an open console: who rates")]
router = APIRouter()


class Plan(BaseModel):
    """A study to be planned."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    operators: list[Person] = Field(min_length=1, max_length=20)
    trials: int = Field(2, ge=1, le=5, description="how often each operator sees each part")
    parts: int = Field(30, ge=4, le=200)


class Rated(BaseModel):
    """What an operator says of a part of a study."""

    model_config = ConfigDict(extra="forbid")

    trial: int = Field(ge=1, le=5)
    frame_id: str = Field(min_length=1, max_length=MAX_CHARS)
    verdict: Literal["good", "defect"]


@router.get("/studies", response_class=HTMLResponse, include_in_schema=False)
def studies(request: Request, services: Injected, caller: Viewer) -> Response:
    """All studies, and the form that plans one."""
    return shown(request, services, caller, "studies", studies=services.studies.listed())


@router.get("/studies/{number}", response_class=HTMLResponse, include_in_schema=False)
def study(
    request: Request, services: Injected, caller: Viewer, number: Number, wanted: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """How well people agreed, and where the study stands; for whoever has just planned it, how many parts were
    `wanted`."""
    report = services.studies.report(number)
    told = not any(report["left"].values()) or (caller.role is Role.ENGINEER and caller.name not in report["left"])
    return shown(
        request,
        services,
        caller,
        "study",
        **report,
        told=told,
        open=services.access.open,
        machine=MACHINE,
        wanted=wanted,
    )


@router.get("/studies/{number}/rate", response_class=HTMLResponse, include_in_schema=False)
def rate_page(request: Request, services: Injected, caller: Operator, number: Number, who: As = "") -> Response:
    """The parts of a study, one after the other."""
    rater = _rater(services, caller, who)
    services.studies.questions(number, rater)
    return shown(request, services, caller, "rate", study=services.studies.found(number), rater=rater)


@router.post("/api/studies", status_code=201, tags=["studies"])
def plan(services: Injected, caller: Engineer, body: Plan) -> dict[str, int]:
    """Plan a study of known parts."""
    people = [name.strip() for name in body.operators if name.strip()]
    made = services.studies.plan(caller.name, body.name, body.trials, people, body.parts)
    return {"study": made.id, "parts": len(made.truth)}


@router.get("/api/studies/{number}/questions", tags=["studies"])
def questions(services: Injected, caller: Operator, number: Number, who: As = "") -> list[dict[str, Any]]:
    """What the caller has still to rate, in order."""
    return services.studies.questions(number, _rater(services, caller, who))


@router.post("/api/studies/{number}/ratings", status_code=201, tags=["studies"])
def rate(services: Injected, caller: Operator, number: Number, body: Rated, who: As = "") -> None:
    """Rate a part; the first rating of each part and trial stands. It teaches nothing."""
    rater = _rater(services, caller, who)
    services.studies.rate(number, Rating(rater, body.trial, body.frame_id, Label(body.verdict)))


def _rater(services: Services, caller: Caller, who: str) -> str:
    """Who rates: the caller, and on an open console, which knows nobody, whoever says so."""
    return who if who and services.access.open else caller.name
