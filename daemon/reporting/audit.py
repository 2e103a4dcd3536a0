"""The audit log as text: JSON lines, and CSV that a spreadsheet takes for text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from daemon.clock import iso
from daemon.ledger.audit_log import AuditEntry

COLUMNS = ("number", "at", "kind", "who", "what", "detail", "digest")


def told(entry: AuditEntry) -> dict[str, Any]:
    """An entry by the names of `COLUMNS`, its time in ISO 8601."""
    return {name: {**asdict(entry), "number": entry.id, "at": iso(entry.at_ms)}[name] for name in COLUMNS}


def json_lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """A line of JSON for each entry."""
    return (json.dumps(told(entry), ensure_ascii=False) + "\n" for entry in entries)


def csv_lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """A heading and a row for each entry."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS)
    table.writeheader()
    for entry in entries:
        table.writerow({name: _plain(value) for name, value in told(entry).items()})
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _plain(value: object) -> str:
    """A cell that a spreadsheet takes for text, not for a formula."""
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
