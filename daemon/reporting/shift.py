"""The report of a shift, a day, a week or a lot: one HTML text for the console, files and paper, and CSV."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from markupsafe import Markup

from daemon.clock import iso
from daemon.languages.speaking import gettext, grouped
from daemon.learning.operating_point import in_force
from daemon.ledger import shift as of
from daemon.ledger.records import JudgedFrame
from daemon.ledger.shift import Shift
from daemon.ledger.state import State
from daemon.reporting.page import template
from daemon.reporting.plot import Axes, Frame
from daemon.reporting.tile import tile
from daemon.settings.load import Settings
from policies.accounts import Account, Bounds, control_limits

DAY_MS = 86_400_000
DAYS = 14  # of the control chart
MOST_DEFECTS, PICTURED = 1_000, 12
EVENTS = {
    "drift": "{amount}, likely {reason}: {action}",
    "drift_over": "{cause} is over: {amount}",
    "trust": "trust in the scene: {before} → {now}",
    "regime": "known conditions are back",
    "line_quiet": "nothing was rejected among the last {frames} parts: show the line a known defect",
    "line_quiet_over": "parts are rejected again",
    "camera_away": "the camera is away: {error}",
    "camera_back": "the camera is back",
}
PLACES = (
    ("top left", "top middle", "top right"),
    ("middle left", "in the middle", "middle right"),
    ("bottom left", "bottom middle", "bottom right"),
)
PLOT = Frame(width=760, height=200, left=52, top=18)
Picture = Callable[[JudgedFrame], str | None]


@dataclass(frozen=True)
class Day:
    """A day of the control chart: the bounds of its share of false rejects, and the limits of chance."""

    until_ms: int
    parts: int
    share: tuple[float, float]
    limits: tuple[float, float]

    @property
    def beyond(self) -> bool:
        """Whether more good parts were rejected than chance allows, whatever the unsettled ones are."""
        return self.share[0] > self.limits[1]


@dataclass(frozen=True)
class Report:
    """What is told of a shift. `places` are (where, how many defects), the most frequent first."""

    line: str
    shift: Shift
    account: Account
    rate: float
    days: tuple[Day, ...]
    places: tuple[tuple[str, int], ...]
    defects: tuple[JudgedFrame, ...]
    versions: tuple[of.InForce, ...]
    operators: dict[str, dict[str, int]]
    events: tuple[tuple[int, str], ...]
    forgotten: bool

    @property
    def whole(self) -> bool:
        """Whether all frames of its time are on record."""
        return not self.forgotten


def report(state: State, settings: Settings, shift: Shift) -> Report:
    """The report of a shift, by what the ledger holds now: later answers make its bounds narrower."""
    ledger = state.ledger
    found, rate = of.defects(ledger, shift, MOST_DEFECTS), in_force(state.store, settings.policy.false_reject_rate)
    places = Counter(_place(state, frame) for frame in found)
    told = of.told_between(ledger, shift, tuple(EVENTS))
    return Report(
        line=settings.line,
        shift=shift,
        account=of.account(ledger, shift),
        rate=rate,
        days=tuple(_days(state, shift, rate)),
        places=tuple(places.most_common()),
        defects=tuple(found[:PICTURED]),
        versions=tuple(of.in_force(ledger, shift)),
        operators=of.answered_by(ledger, shift),
        events=tuple((one.at_ms, _words(one.kind, one.detail)) for one in told),
        forgotten=shift.since_ms < of.forgotten_until_ms(ledger),
    )


def body(told: Report, picture: Picture, zone: tzinfo) -> Markup:
    """The report as HTML without a head, its times in `zone` until a page's script writes them otherwise, and each
    picture from the address that `picture` gives."""
    html = template("daemon.reporting", "shift_body.html.j2")

    def when(at_ms: int) -> Markup:
        return Markup('<time datetime="{}">{}</time>').format(iso(at_ms), _minute(at_ms, zone))

    limits = [100 * day.limits[1] for day in told.days] * (2 if len(told.days) == 1 else 1)  # a line has two ends
    axes = Axes(PLOT, max(len(told.days), 2), 0.0, max([2 * told.rate, *(day.share[1] for day in told.days)]) * 100)
    shown = {
        "bounds": _bounds if told.whole else lambda bounds: gettext("at least {number}", number=grouped(bounds[0])),
        "share": _share,
        "when": when,
        "date": lambda at_ms: f"{datetime.fromtimestamp(at_ms / 1000, zone):%m-%d}",
        "picture": picture,
        "axes": axes,
        "size": PLOT,
        "limits": limits,
    }
    return Markup(html.render(report=told, **shown))  # noqa: S704  # the template escapes what it is given


def whole_page(told: Report, state: State, settings: Settings, zone: tzinfo) -> str:
    """The report as one HTML file that needs nothing else."""
    html = template("daemon.reporting", "shift.html.j2")
    begin, end = (_minute(at_ms, zone) for at_ms in (told.shift.since_ms, told.shift.until_ms))
    name = datetime.fromtimestamp(told.shift.since_ms / 1000, zone).tzname()
    return html.render(
        report=told, begin=begin, end=end, zone=name, body=body(told, lambda frame: _data(state, settings, frame), zone)
    )


def table(told: Report) -> str:
    """The report's figures as CSV: what, how much, at least and at most where that is not known exactly."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("what", "parts", "at_least", "at_most"))
    account = told.account
    for name in ("passed", "rejected", "unknown", "drawn"):
        labelled = getattr(account, name)
        rows.writerow((name, labelled.parts, "", ""))
        for label in ("good", "defect", "open"):
            rows.writerow((f"{name}, {label}", getattr(labelled, label), "", ""))
    rows.writerow(("false rejects", "", *account.false_rejects))
    rows.writerow(("escapes", "", *account.escapes))
    rows.writerows((f"defects {place}", count, "", "") for place, count in told.places)
    rows.writerows((f"judged by version {one.version}", one.frames, "", "") for one in told.versions)
    return out.getvalue()


def _days(state: State, shift: Shift, rate: float) -> list[Day]:
    """The last days up to the end of the shift, of whatever lot; those without parts are left out."""
    days = []
    for back in reversed(range(DAYS)):
        until_ms = shift.until_ms - back * DAY_MS
        account = of.account(state.ledger, Shift(until_ms - DAY_MS, until_ms))
        if account.judged:
            low, high = account.false_rejects
            share = (low / account.judged, high / account.judged)
            days.append(Day(until_ms, account.judged, share, control_limits(rate, account.judged)))
    return days


def _place(state: State, frame: JudgedFrame) -> str:
    """Where on the image a defect lies, in ninths: where it was most anomalous."""
    at = (frame.evidence or {}).get("at")
    anomaly = state.kept.anomaly(frame.kept) if frame.kept and at else None
    if anomaly is None or at is None:
        return "place not known"
    row, column = (min(int(3 * (i + 0.5) / n), 2) for i, n in zip(at, anomaly.shape, strict=True))
    return PLACES[row][column]


def _words(kind: str, detail: Mapping[str, Any]) -> str:
    """An event in words."""
    if kind == "regime" and not detail["since_ms"]:
        return "the conditions of the taught parts are back"
    return EVENTS[kind].format(**detail)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"


def _minute(at_ms: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d %H:%M}"


def _bounds(bounds: Bounds) -> str:
    low, high = bounds
    return grouped(low) if low == high else gettext("{low} to {high}", low=grouped(low), high=grouped(high))


def _share(bounds: Sequence[float], of_all: int = 1) -> str:
    low, high = (_percent(bound / max(of_all, 1)) for bound in bounds)
    return f"{low} %" if low == high else gettext("{low} to {high} %", low=low, high=high)


def _data(state: State, settings: Settings, frame: JudgedFrame) -> str | None:
    """A frame's picture with its map, as an address that holds it; None where it is not kept."""
    picture = tile(state.kept, state.store, settings.source, frame)
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" if picture else None
