"""Reports of shifts: their bounds hold, their figures are those of the ledger, and they come as page, file and PDF."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from commands import call
from conftest import NOW_MS, frame
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pictures import png
from scipy.stats import binom

from daemon import schedule
from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.datasets.rendered import STEADY, Flaw
from daemon.inference.scene_records import record_events
from daemon.learning import answers
from daemon.ledger import shift as of
from daemon.ledger.frames import newest_frames
from daemon.ledger.shift import Shift
from daemon.ledger.state import State, open_state
from daemon.reporting import pdf
from daemon.reporting.shift import report, table, whole_page
from daemon.reporting.shift_files import shift_before, write
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from drift.causes import Cause
from drift.monitor import CALM, Change, Trust
from policies.accounts import Account, Labelled, control_limits

BERLIN = ZoneInfo("Europe/Berlin")
ALL = Shift(0, 4_000_000_000_000)
LINES = 1_000


def simulated(rng: np.random.Generator) -> tuple[Account, int, int]:
    """A shift of a line that asks as Driftline does: the account of it, and how many good parts were rejected and
    defects passed in truth. Flagged parts are asked about first, drawn ones always and answered half of the time or
    always, and now and then an escape comes back."""
    parts, share = 600, rng.uniform(0.02, 0.2)
    defect = rng.random(parts) < rng.uniform(0, 0.1)
    score = rng.normal(0, 1, parts) + np.where(defect, rng.uniform(0, 4), 0)
    rejected = score > rng.uniform(1.5, 3)
    drawn = rng.random(parts) < share
    answered = drawn & (rng.random(parts) < rng.choice([0.5, 1.0]))
    budget = int(rng.integers(0, 60))
    oddest = np.argsort(-score)[:budget]
    answered[oddest] |= rejected[oddest] | (rng.random(len(oddest)) < 0.5)
    answered |= defect & ~rejected & (rng.random(parts) < 0.1)

    def labelled(of: np.ndarray) -> Labelled:
        return Labelled(int(of.sum()), int((of & answered & ~defect).sum()), int((of & answered & defect).sum()))

    account = Account(labelled(~rejected), labelled(rejected), Labelled(), labelled(drawn & ~rejected))
    return account, int((rejected & ~defect).sum()), int((~rejected & defect).sum())


def test_the_bounds_hold_over_a_thousand_simulated_lines() -> None:
    """With the selection of the label budget: false rejects always, escapes on at least 95 % of the lines."""
    rng, missed, told = np.random.default_rng(0), 0, []
    for _ in range(LINES):
        account, false_rejects, escapes = simulated(rng)
        low, high = account.false_rejects
        assert low <= false_rejects <= high
        low, high = account.escapes
        missed += not low <= escapes <= high
        told.append(high - low)
    assert missed <= 0.05 * LINES
    assert np.quantile(told, 0.25) < 100, "where drawn parts are answered they say more than nothing"


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.data())
def test_more_answers_never_widen_what_is_known(good: int, defect: int, left: int, data: st.DataObject) -> None:
    drawn = Labelled(good + defect + left, good, defect)
    other = data.draw(st.integers(0, 100))
    passed = Labelled(drawn.parts + other, good, defect)
    rejected = Labelled(good + defect + left, good, defect)
    before = Account(passed, rejected, Labelled(), drawn)
    assert before.judged == passed.parts + rejected.parts
    low, high = before.escapes
    assert defect <= low <= high <= passed.parts - good
    if left:
        settled = replace(drawn, good=good + 1)
        after = Account(replace(passed, good=good + 1), replace(rejected, good=good + 1), Labelled(), settled)
        for then, now in ((before.escapes, after.escapes), (before.false_rejects, after.false_rejects)):
            assert then[0] <= now[0] <= now[1] <= then[1]


def test_with_nobody_drawn_escapes_are_the_known_ones_and_what_is_possible() -> None:
    account = Account(Labelled(100, 10, 2), Labelled(), Labelled(), Labelled())
    assert account.escapes == (2, 90)


@given(st.floats(0.001, 0.1), st.integers(1, 2_000))
def test_a_calm_day_is_beyond_chance_as_rarely_as_it_is_said(rate: float, parts: int) -> None:
    """Of few parts, or at a small rate, three standard deviations of a normal distribution would cry every week."""
    assert binom.sf(round(control_limits(rate, parts)[1] * parts), parts, rate) <= 0.00136


def test_a_bad_draw_does_not_turn_the_bounds_round() -> None:
    account = Account(Labelled(1_000, 100, 50), Labelled(), Labelled(), Labelled(100, 100, 0))
    assert account.escapes == (50, 50)


def test_the_limits_of_chance_are_those_of_a_p_chart() -> None:
    assert control_limits(0.02, 1_000) == (0.008, 0.034)
    assert control_limits(0.02, 10)[0] == 0
    assert control_limits(0.02, 0) == (0, 1)


@pytest.mark.parametrize(
    ("now", "since", "until"),
    [
        ("2026-11-29 14:00", "2026-11-29 06:00", "2026-11-29 14:00"),
        ("2026-11-29 13:59", "2026-11-28 22:00", "2026-11-29 06:00"),
        ("2026-11-29 00:30", "2026-11-28 14:00", "2026-11-28 22:00"),
        ("2026-10-25 06:00", "2026-10-24 22:00", "2026-10-25 06:00"),  # nine hours: the clocks went back
    ],
)
def test_the_shift_before_is_told_by_the_clock_on_the_wall(now: str, since: str, until: str) -> None:
    found = shift_before(datetime.fromisoformat(now).replace(tzinfo=BERLIN), (22, 6, 14))
    ends = [datetime.fromtimestamp(at_ms / 1000, BERLIN) for at_ms in (found.since_ms, found.until_ms)]
    assert [f"{end:%Y-%m-%d %H:%M}" for end in ends] == [since, until]


def test_a_shift_of_a_day_is_the_day_before() -> None:
    found = shift_before(datetime(2026, 11, 29, 7, tzinfo=UTC), (6,))
    assert found.until_ms - found.since_ms == 86_400_000


@pytest.fixture
def busy(service: Service, settings: Settings) -> State:
    """Two lots: of lot A a false reject, a found defect and an escape; of lot B a part that nobody has settled."""
    ledger = service.engine.ledger
    for frame_id, part_id, number, flaw in (
        ("a1", "A-1", 500, None),
        ("a2", "A-2", 610, Flaw.BURR),
        ("a3", "A-3", 611, Flaw.BURR),
        ("b1", "B-1", 612, Flaw.BURR),
    ):
        service.engine.judge(replace(frame(frame_id, png(number, STEADY, flaw)), part_id=part_id))
    for frame_id, verdict, operator in (
        ("a1", "defect", "anna"),
        ("a2", "defect", "anna"),
        ("a3", "good", "bert"),
        ("b1", "good", "bert"),
        ("b1", "defect", "anna"),
    ):
        answers.record(ledger, answers.answer(frame_id, verdict, operator), NOW_MS)
    ledger.event(NOW_MS, "trust", before="stable", now="drifting")
    return open_state(settings.state_dir)


def test_a_report_tells_what_the_ledger_holds(busy: State, settings: Settings) -> None:
    told = report(busy, settings, ALL)
    account = told.account
    assert (account.passed, account.rejected) == (Labelled(1, 0, 1), Labelled(3, 1, 1))
    assert (account.false_rejects, account.escapes) == ((1, 2), (1, 1))
    assert told.operators == {"anna": {"defect": 3}, "bert": {"good": 2}}
    assert sum(count for _, count in told.places) == 2
    assert [(one.version, one.frames) for one in told.versions] == [(1, 4)]
    lot = report(busy, settings, replace(ALL, lot="B-"))
    assert (lot.account.judged, lot.account.false_rejects, lot.defects) == (1, (0, 1), ())
    assert report(busy, settings, Shift(0, 1)).account.judged == 0


def test_what_retention_has_left_is_told_as_no_whole(busy: State, settings: Settings, service: Service) -> None:
    assert report(busy, settings, ALL).whole
    service.engine.ledger.set_status(of.FORGOTTEN, {"until_ms": 1_000})
    told = report(busy, settings, ALL)
    assert not told.whole
    html = whole_page(told, busy, settings, UTC)
    assert "have left the ledger" in html
    assert "<b>at least 1</b>" in html
    assert report(busy, settings, replace(ALL, since_ms=1_000)).whole


def test_a_report_waits_for_no_reader_and_makes_no_frame_wait(
    service: Service, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folding the log in waits for whoever reads, and meanwhile nobody can write."""
    monkeypatch.setattr(pdf, "available", lambda: False)
    reports = settings.reports.model_copy(update={"folder": tmp_path / "reports"})
    service.engine.settings = settings.model_copy(update={"reports": reports})
    reader = sqlite3.connect(settings.state_dir / "ledger.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM frames").fetchone()
    service.engine.ledger.event(NOW_MS, "trust", before="a", now="b")
    folded = []
    monkeypatch.setattr("daemon.ledger.ledger.Ledger.close", lambda _, *, fold=True: folded.append(fold))
    schedule.report_shift(service)
    reader.close()
    assert folded == [False]


def test_events_and_days_are_those_of_the_time(busy: State, settings: Settings) -> None:
    last_ms = newest_frames(busy.ledger, 1)[0].judged_ms
    told = report(busy, settings, Shift(last_ms - 3_600_000, last_ms + 1))
    (day,) = told.days
    assert (day.parts, day.share) == (4, (0.25, 0.5))
    assert day.beyond is (day.share[0] > day.limits[1])
    during = report(busy, settings, Shift(NOW_MS - 1, ALL.until_ms))
    assert "trust in the scene: stable → drifting" in [words for _, words in during.events]


def test_what_was_told_is_in_words(busy: State, settings: Settings) -> None:
    change = Change(Cause.LIGHT, NOW_MS, "light +18 %", 4.0)
    scene = replace(CALM, changes=(change,), trust=Trust.DRIFTING)
    record_events(busy.ledger, CALM, scene, "f1", NOW_MS)
    record_events(busy.ledger, scene, replace(CALM, over=(change,)), "f2", NOW_MS)
    busy.ledger.event(NOW_MS, "regime", frame_id="f3", regime=None, since_ms=None)
    busy.ledger.event(NOW_MS, "line_quiet", frames=400)
    busy.ledger.event(NOW_MS, "camera_away", error="no image for 5 s")
    told = report(busy, settings, Shift(NOW_MS - 1, ALL.until_ms))
    assert {words for _, words in told.events} >= {
        "light +18 %, likely lamp, shutter or daylight: compensated",
        "light is over: light +18 %",
        "trust in the scene: stable → drifting",
        "the conditions of the taught parts are back",
        "nothing was rejected among the last 400 parts: show the line a known defect",
        "the camera is away: no image for 5 s",
    }


def test_a_report_comes_as_files_that_need_nothing_else(busy: State, settings: Settings, tmp_path: Path) -> None:
    told = report(busy, settings, Shift(1_795_900_000_000, 1_795_900_000_000 + 1, "A"))
    files = write(told, busy, settings, BERLIN, tmp_path / "new")
    assert [file.name for file in files] == [
        f"test_A_2026-11-28T22-06_2026-11-28T22-06.{s}" for s in ("html", "csv", "pdf")
    ]
    html = whole_page(report(busy, settings, ALL), busy, settings, BERLIN)
    assert html.count("data:image/jpeg") == 2
    assert "<script" not in html
    shapes = re.findall(r"<(?:line|rect|polyline) [^>]*>", html)
    assert shapes, "a PDF takes colours from attributes alone"
    assert all("fill=" in shape or "stroke=" in shape for shape in shapes)
    assert "http" not in html
    assert files[2].read_bytes()[:4] == b"%PDF"
    rows = list(csv.DictReader(io.StringIO(table(report(busy, settings, ALL)))))
    assert {row["what"]: row["at_most"] for row in rows}["false rejects"] == "2"


def test_names_that_are_html_stay_names_on_a_report(busy: State, settings: Settings, service: Service) -> None:
    answers.record(service.engine.ledger, answers.answer("a2", "defect", "<b>eve"), NOW_MS)
    html = whole_page(report(busy, settings, ALL), busy, settings, UTC)
    assert "<b>eve" not in html
    assert "&lt;b&gt;eve" in html


def test_without_weasyprint_a_report_has_no_pdf_and_says_how_to_get_one(
    busy: State, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "available", lambda: False)
    assert [file.suffix for file in write(report(busy, settings, ALL), busy, settings, UTC, tmp_path)] == [
        ".html",
        ".csv",
    ]
    with pytest.raises(pdf.NoPdf, match="driftline\\[pdf\\]"):
        pdf.pdf("<p>")


def test_a_pdf_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.sys, "executable", "false")
    with pytest.raises(pdf.NoPdf, match="exit code 1"):
        pdf.pdf("<p>")


def test_the_console_serves_each_form(busy: State, settings: Settings, wire: RedisStreams) -> None:
    view = line_view(settings, busy, wire)
    with TestClient(application(view, access(ConsoleSettings())), base_url="http://127.0.0.1") as client:
        page = client.get("/reports", params={"lot": "A-"}).text
        assert "Frames judged" in page
        assert "style=" not in page
        assert "Not settled" in client.get("/reports/report.html", params={"zone": "Europe/Berlin"}).text
        assert client.get("/reports/report.pdf", params={"zone": "nowhere"}).content[:4] == b"%PDF"
        assert client.get("/reports/report.csv").text.startswith("what,")
        for wrong in ({"since_ms": -1}, {"since_ms": 2, "until_ms": 1}, {"hours": 0}):
            assert client.get("/reports", params=wrong).status_code == 422
        assert 'aria-current="true">24 hours' in client.get("/reports", params={"hours": 24}).text


def test_every_shift_is_reported_where_a_folder_is_named(
    service: Service, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def jobs(of: Settings) -> set[str]:
        service.engine.settings = of
        scheduled: BackgroundScheduler = schedule.scheduler(service)
        scheduled.start(paused=True)
        try:
            return {job.id for job in scheduled.get_jobs()}
        finally:
            scheduled.shutdown()

    assert "reports" not in jobs(settings)
    reports = settings.reports.model_copy(update={"folder": tmp_path / "reports", "hours": (6,)})
    assert "reports" in jobs(settings.model_copy(update={"reports": reports}))
    monkeypatch.setattr(pdf, "available", lambda: False)
    schedule.report_shift(service)
    assert sorted(file.suffix for file in (tmp_path / "reports").iterdir()) == [".csv", ".html"]


@pytest.mark.usefixtures("busy")
def test_a_report_of_any_time_is_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    monkeypatch.setattr(pdf, "available", lambda: False)
    where = ("--set", f"state_dir={settings.state_dir}")
    code, made = call(capsys, monkeypatch, "report", tmp_path / "one", "--since", "2020-01-01", *where)
    assert (code, len(made["files"])) == (0, 2)
    assert ",3," in Path(made["files"][1]).read_text() or json.dumps(made)
    code, made = call(capsys, monkeypatch, "report", tmp_path / "last", *where)
    assert code == 0
