"""The console's pages, the images on them, and the events that keep them up to date."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from pydantic import Field

from daemon.clock import unix_ms
from daemon.console import charts
from daemon.console.access import Caller, Engineer, Role, Viewer
from daemon.console.api import searched
from daemon.console.images import Kind, encoded
from daemon.console.services import Injected, Services
from daemon.console.templating import route, templates
from daemon.languages.speaking import languages
from daemon.ledger.frame_list import Search

HERE = Path(__file__).parent
PAGES = (
    ("/", "Live", Role.VIEWER),
    ("/review", "Review", Role.VIEWER),
    ("/parts", "Parts", Role.VIEWER),
    ("/drift", "Drift", Role.VIEWER),
    ("/versions", "Versions", Role.VIEWER),
    ("/threshold", "Threshold", Role.VIEWER),
    ("/reports", "Reports", Role.VIEWER),
    ("/studies", "Studies", Role.VIEWER),
    ("/setup", "Setup", Role.ENGINEER),
)
UNCHANGING = {"Cache-Control": "private, max-age=86400, immutable"}
ALONE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
MOST_SAMPLES = 60
PARTS_A_PAGE = 60
Seq = Annotated[int, Field(ge=1, le=2**62)]
Number = Annotated[int, Field(ge=1, le=2**53)]
Hours = Annotated[int, Query(ge=1, le=168)]
router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
def live(request: Request, services: Injected, caller: Viewer) -> Response:
    """The newest part and its verdict, readable at two metres."""
    summary = services.status.summary()
    trust = (summary.get("drift") or {}).get("trust", "unknown")
    return shown(request, services, caller, "live", summary=summary, trust=trust)


@router.get("/review", response_class=HTMLResponse)
def review(request: Request, services: Injected, caller: Viewer) -> Response:
    """The parts that people are asked about."""
    head = services.line.head()
    return shown(request, services, caller, "review", depth=head is not None and "depth" in head.geometry)


@router.get("/parts", response_class=HTMLResponse)
def parts(
    request: Request, services: Injected, caller: Viewer, search: Annotated[Search, Depends(searched)]
) -> Response:
    """Parts looked up by id, time or verdict; the one that is found opens at once."""
    found = services.parts.found(search, PARTS_A_PAGE + 1)
    if search.name and len(found) == 1:
        return RedirectResponse(f"{request.scope['root_path']}/parts/{found[0].seq}", 303)
    listed, more = found[:PARTS_A_PAGE], len(found) > PARTS_A_PAGE
    older = request.url.include_query_params(before=listed[-1].seq).query if more else None
    return shown(request, services, caller, "parts", found=listed, search=search, older=older)


@router.get("/parts/{seq}", response_class=HTMLResponse)
def shown_part(request: Request, services: Injected, caller: Viewer, seq: Seq) -> Response:
    """One judged frame of a part: its picture, why it was judged so, and people's answers about it."""
    part = services.parts.shown(seq)
    # What others have said would answer for whoever is asked, also about a known part.
    blind = caller.role is Role.OPERATOR and services.reviews.is_asked(part["frame"].frame_id, caller.name)
    return shown(request, services, caller, "part", **part, blind=blind)


@router.get("/drift", response_class=HTMLResponse)
def drift(request: Request, services: Injected, caller: Viewer, hours: Hours = 8) -> Response:
    """What has changed in the scene, likely why, and every signal over time."""
    plots = charts.charts(services.line.state.ledger, hours, unix_ms())
    scene = services.status.drift(50)
    return shown(request, services, caller, "drift", hours=hours, choices=charts.HOURS, scene=scene, **plots)


@router.get("/versions", response_class=HTMLResponse)
def versions(request: Request, services: Injected, caller: Viewer) -> Response:
    """All versions: who made them, when and why."""
    head = services.line.head()
    listed, judges, held = services.history.listed(), head.number if head else None, services.history.held()
    return shown(request, services, caller, "versions", versions=listed, judges=judges, held=held)


@router.get("/versions/{number}", response_class=HTMLResponse)
def version(request: Request, services: Injected, caller: Viewer, number: Number) -> Response:
    """One version: what it was taught, what the gate said, what became of false rejects, what it would judge
    differently, and the way back to it."""
    manifest, head = services.line.state.store.version(number), services.line.head()
    lists = services.history.samples(manifest)
    samples = {kind: names[:MOST_SAMPLES] for kind, names in lists.items()}
    counts = {kind: len(names) for kind, names in lists.items()}
    judges, lesson = head is not None and head.number == number, services.history.lesson(manifest)
    values = {"version": manifest, "samples": samples, "counts": counts, "judges": judges, **lesson}
    return shown(request, services, caller, "version", **values)


@router.get("/threshold", response_class=HTMLResponse)
def threshold(request: Request, services: Injected, caller: Viewer) -> Response:
    """The one number to set, and what it means."""
    return shown(request, services, caller, "threshold")


@router.get("/setup", response_class=HTMLResponse)
def setup(request: Request, services: Injected, caller: Engineer) -> Response:
    """From a folder of good parts to a version that judges."""
    return shown(request, services, caller, "setup")


@router.get("/words/{code}.js")
def words(code: str) -> Response:
    """The words of the pages' scripts in a language; public, as scripts are."""
    known = languages().get(code)
    if known is None:
        raise HTTPException(404, "no such language")
    words = json.dumps(known.catalogue.scripts, ensure_ascii=False)
    text = f"const WORDS = {words};\nconst FORM = (n) => Number({known.catalogue.plural_rule});\n"
    return Response(text, media_type="text/javascript; charset=utf-8")


@router.get("/frames/{seq}/{kind}.jpg")
async def image(services: Injected, _: Viewer, seq: Seq, kind: str) -> Response:
    """A kept frame as its camera saw it, with its anomaly map, or its depth; no path from a request reaches the
    disk."""
    if kind not in set(Kind):
        return _jpeg(None)
    drawn = services.images.drawn(seq, Kind(kind))
    return _jpeg(drawn or await services.decoding(services.images.jpeg, seq, Kind(kind)))


@router.get("/versions/{number}/{kind}/{place}.jpg")
async def sample(
    services: Injected, _: Viewer, number: Number, kind: str, place: Annotated[int, Field(ge=0, le=2**31)]
) -> Response:
    """A part that a version names, by its place in the version's list."""
    pixels = await services.decoding(services.history.picture, number, kind, place)
    return _jpeg(encoded(pixels) if pixels is not None else None)


@router.get("/setup/part.jpg")
async def part(services: Injected, _: Engineer, batch: Annotated[str, Query(max_length=64)]) -> Response:
    """An image of the batch that is taught, to draw a region on."""
    pixels = await services.decoding(services.drafts.picture, batch)
    return Response(await services.decoding(encoded, pixels), media_type="image/jpeg")


@router.get("/setup/sheets/{detector}.html", response_class=HTMLResponse)
def sheet(services: Injected, _: Engineer, detector: str, batch: Annotated[str, Query(max_length=64)]) -> Response:
    """What a kind of detector that was tried saw: one page with its pictures and styles within."""
    found = services.drafts.sheet(batch, detector)
    if found is None:
        raise HTTPException(404, "no such contact sheet: try the detectors again")
    return HTMLResponse(found, headers={"Content-Security-Policy": ALONE})


@router.get("/setup/odd/{rank}.jpg")
async def odd_part(
    services: Injected,
    _: Engineer,
    rank: Annotated[int, Field(ge=0, le=2**31)],
    draft: Annotated[str, Query(max_length=64)],
) -> Response:
    """One of the oddest parts of the draft, with what is odd about it."""
    pixels = await services.decoding(services.drafts.odd_part, draft, rank)
    return _jpeg(encoded(pixels) if pixels is not None else None)


@router.get("/events")
def events(services: Injected, _: Viewer) -> StreamingResponse:
    """News as server-sent events: frames as they are judged, and the status."""
    if services.events.crowded:
        raise HTTPException(503, "too many watch already")

    async def stream() -> AsyncIterator[str]:
        with services.events.subscribed() as queue:
            yield "retry: 2000\n\n"
            while (text := await queue.get()) is not None:
                yield text

    # So nginx passes each on at once, whatever its buffers hold.
    return StreamingResponse(stream(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _jpeg(data: bytes | None) -> Response:
    if data is None:
        raise HTTPException(404, "no picture of this is kept")
    return Response(data, media_type="image/jpeg", headers=UNCHANGING)


def shown(request: Request, services: Services, caller: Caller, name: str, **values: Any) -> Response:
    """A page by its template's name, with what every page shows."""
    frame = {
        "line": services.line.settings.line,
        "pages": [(path, title) for path, title, least in PAGES if caller.role >= least],
        "here": route(request),
        "caller": caller,
        "engineer": caller.role >= Role.ENGINEER,
        "operator": caller.role >= Role.OPERATOR,
        "leaves": not services.access.open,
    }
    return templates.TemplateResponse(request, f"{name}.html.j2", frame | values)
