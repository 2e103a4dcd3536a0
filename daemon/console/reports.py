"""Reports of a shift, a day, a week or a lot: a page, one file, PDF and CSV."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse

from daemon.clock import unix_ms
from daemon.console.access import Viewer
from daemon.console.pages import ALONE, shown
from daemon.console.services import Injected
from daemon.learning.answers import MAX_CHARS
from daemon.ledger.records import JudgedFrame
from daemon.ledger.shift import Shift
from daemon.reporting import pdf
from daemon.reporting import shift as reporting
from daemon.reporting.shift_files import file_name

HOUR_MS = 3_600_000
SPANS_H = {"8 hours": 8, "24 hours": 24, "7 days": 168}
LATEST_MS = 253_000_000_000_000  # in the year 9987: no calendar goes on for ever
Time = Annotated[int | None, Query(ge=0, le=LATEST_MS, description="Unix, ms")]
router = APIRouter(include_in_schema=False)


def asked_for(
    since_ms: Time = None,
    until_ms: Time = None,
    hours: Annotated[int, Query(ge=1, le=24 * 366)] = 8,
    lot: Annotated[str, Query(max_length=MAX_CHARS)] = "",
) -> Shift:
    """The shift that a request asks for; by default the last eight hours."""
    until = unix_ms() if until_ms is None else until_ms
    since = until - hours * HOUR_MS if since_ms is None else since_ms
    if since > until:
        raise HTTPException(422, "the beginning lies after the end: choose an earlier one")
    return Shift(since, until, lot.strip() or None)


def zone_of(zone: Annotated[str, Query(max_length=64, description="IANA name")] = "UTC") -> tzinfo:
    """The time zone that a request asks for; UTC for one that nobody knows, and the page names it."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


Asked = Annotated[Shift, Depends(asked_for)]
Zone = Annotated[tzinfo, Depends(zone_of)]


@router.get("/reports", response_class=HTMLResponse)
def reports(request: Request, services: Injected, caller: Viewer, shift: Asked, zone: Zone) -> Response:
    """A report, to be looked at, printed and taken away."""
    line = services.line
    told = reporting.report(line.state, line.settings, shift)

    def picture(frame: JudgedFrame) -> str | None:
        return f"frames/{frame.seq}/heat.jpg?judged={frame.judged_ms}" if frame.kept else None

    hours = None if "since_ms" in request.query_params else int(request.query_params.get("hours", 8))
    values = {"shift": shift, "body": reporting.body(told, picture, zone), "spans": SPANS_H, "hours": hours}
    return shown(request, services, caller, "reports", **values, pdf=pdf.available())


@router.get("/reports/report.html", response_class=HTMLResponse)
def file(services: Injected, _: Viewer, shift: Asked, zone: Zone) -> Response:
    """The report as one file that needs nothing else."""
    return HTMLResponse(_whole(services, shift, zone), headers={"Content-Security-Policy": ALONE})


@router.get("/reports/report.pdf")
def paper(services: Injected, _: Viewer, shift: Asked, zone: Zone) -> Response:
    """The same as a PDF."""
    return Response(
        pdf.pdf(_whole(services, shift, zone)), media_type="application/pdf", headers=_named(services, shift, "pdf")
    )


@router.get("/reports/report.csv")
def figures(services: Injected, _: Viewer, shift: Asked) -> Response:
    """Its figures."""
    told = reporting.report(services.line.state, services.line.settings, shift)
    return Response(reporting.table(told), media_type="text/csv", headers=_named(services, shift, "csv"))


def _whole(services: Injected, shift: Shift, zone: tzinfo) -> str:
    line = services.line
    return reporting.whole_page(reporting.report(line.state, line.settings, shift), line.state, line.settings, zone)


def _named(services: Injected, shift: Shift, suffix: str) -> dict[str, str]:
    name = file_name(services.line.settings.line, shift, UTC)
    return {"Content-Disposition": f'attachment; filename="{name}.{suffix}"'}
