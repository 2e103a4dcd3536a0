"""Reports of shifts as files (one HTML page, its figures as CSV, a PDF where WeasyPrint is installed) and as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from daemon.languages.speaking import speaking
from daemon.ledger.shift import Shift
from daemon.ledger.state import State
from daemon.reporting import pdf
from daemon.reporting.shift import Report, table, whole_page
from daemon.settings.load import Settings
from memory.durable import write_draft


def write(told: Report, state: State, settings: Settings, zone: tzinfo, folder: Path) -> list[Path]:
    """Write a report into `folder`, which is made if it is not there; returns its files. A file of that name is
    replaced. Raises OSError where the disk refuses, and NoPdf where WeasyPrint is there and fails."""
    with speaking(settings.reports.language):
        html = whole_page(told, state, settings, zone)
    name = file_name(settings.line, told.shift, zone)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.{suffix}" for suffix in ("html", "csv")]
    for file, text in zip(files, (html, table(told)), strict=True):
        write_draft(file, text.encode()).replace(file)
    if pdf.available():
        files.append(folder / f"{name}.pdf")
        write_draft(files[-1], pdf.pdf(html)).replace(files[-1])
    return files


def file_name(line: str, shift: Shift, zone: tzinfo) -> str:
    """What a report's files are called, without their suffix."""
    ends = (
        f"{datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%dT%H-%M}" for at_ms in (shift.since_ms, shift.until_ms)
    )
    lot = [re.sub(r"[^A-Za-z0-9._-]+", "-", shift.lot)] if shift.lot else []
    return "_".join((line, *lot, *ends))


def figures(told: Report) -> dict[str, Any]:
    """The report's figures as JSON; bounds as [at least, at most]."""
    account = told.account
    by_verdict = {name: asdict(getattr(account, name)) for name in ("passed", "rejected", "unknown", "drawn")}
    return {
        **asdict(told.shift),
        "frames": account.judged,
        **by_verdict,
        "false_rejects": list(account.false_rejects),
        "escapes": list(account.escapes),
        "rate": told.rate,
        "whole": told.whole,
        "places": dict(told.places),
        "versions": {str(one.version): one.frames for one in told.versions},
    }


def shift_before(now: datetime, hours: Sequence[int]) -> Shift:
    """The shift that ended last at or before `now`, of those that begin at these full hours of its clock."""
    days = [now.date() + timedelta(days=back) for back in (-2, -1, 0)]
    begins = [
        now.replace(year=d.year, month=d.month, day=d.day, hour=0, minute=0, second=0, microsecond=0) for d in days
    ]
    past = [at for day in begins for hour in sorted(set(hours)) if (at := day.replace(hour=hour)) <= now]
    since, until = past[-2:]
    return Shift(_ms(since), _ms(until))


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
