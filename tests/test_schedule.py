"""The jobs beside the frames: bounded, and never failing in silence."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from conftest import rows
from hypothesis import given
from hypothesis import strategies as st

from daemon import schedule
from daemon.clock import JUMP_S, Timekeeper
from daemon.ledger.history import newest_events
from daemon.service import Service


def test_jobs_are_bounded_and_a_failing_or_missed_one_is_told(service: Service) -> None:
    jobs: BackgroundScheduler = schedule.scheduler(service)
    jobs.start(paused=True)
    try:
        scheduled = {job.id: job for job in jobs.get_jobs()}
        assert set(scheduled) == {
            *("admission", "recalibration", "retraining", "snapshot", "retention", "inspection", "memory")
        }
        for job in scheduled.values():
            assert job.coalesce
            assert job.max_instances == 1
            assert job.misfire_grace_time == service.engine.settings.schedule.misfire_grace_s
        jobs.add_job(lambda: 1 / 0, id="broken")
        jobs.add_job(lambda: None, "date", run_date="2020-01-01", id="late", misfire_grace_time=1)
        jobs.resume()
        query = "SELECT kind FROM events WHERE kind LIKE 'job_%' ORDER BY kind"
        until = time.monotonic() + 20
        while time.monotonic() < until and len(rows(service.engine.ledger, query)) < 2:
            time.sleep(0.02)
        assert [r["kind"] for r in rows(service.engine.ledger, query)] == ["job_failed", "job_missed"]
    finally:
        jobs.shutdown()


def test_a_failing_job_on_a_disk_that_takes_nothing_is_told_in_the_log(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(service.engine.ledger, "event", refusing)
    jobs: BackgroundScheduler = schedule.scheduler(service)
    jobs.start(paused=True)
    try:
        jobs.add_job(lambda: 1 / 0, id="broken")
        jobs.resume()
        told, until = "", time.monotonic() + 20
        while time.monotonic() < until and "broken" not in told:
            time.sleep(0.02)
            told += capsys.readouterr().out
    finally:
        jobs.shutdown()
    assert "job_failed" in told
    assert "readonly" not in told + capsys.readouterr().err


def test_a_snapshot_tells_other_processes(service: Service) -> None:
    schedule.snapshot(service)
    status = service.engine.ledger.get_status("service")
    assert status is not None
    assert (status["version"], status["broker"], status["untrained_weights"]) == (1, "memory://", True)


@pytest.mark.parametrize(("jump_s", "moved_s"), [(-7200.0, -7200.0), (7200.0, 0.0)])
def test_jobs_go_on_when_the_clock_jumps(service: Service, jump_s: float, moved_s: float) -> None:
    """Set back, every job waited until the old time had come again."""
    jobs = schedule.scheduler(service)
    jobs.start(paused=True)
    try:
        before = {job.id: job.next_run_time for job in jobs.get_jobs()}
        schedule.jumped(service, jobs, jump_s)
        moved = {job.id: (job.next_run_time - before[job.id]).total_seconds() for job in jobs.get_jobs()}
        assert moved == dict.fromkeys(before, moved_s)
        (told,) = newest_events(service.engine.ledger, ("clock_jumped",), 9)
        assert told.detail == {"seconds": jump_s}
    finally:
        jobs.shutdown()


def test_a_lesson_of_a_clock_that_was_years_ahead_does_not_put_off_recalibration(service: Service) -> None:
    service.engine.ledger.record_lesson(service.engine.clock_ms() + 6 * 365 * 86_400_000, 1, 0, None, "held")
    jobs = schedule.scheduler(service)
    jobs.start(paused=True)
    try:
        left = jobs.get_job("recalibration").next_run_time - datetime.now(UTC)
        assert left <= timedelta(seconds=service.engine.settings.schedule.recalibration_s)
    finally:
        jobs.shutdown()


@given(late_s=st.floats(0, 2e8), interval_s=st.floats(0.1, 1e5))
def test_however_late_a_job_is_its_next_run_is_one_and_lies_ahead(late_s: float, interval_s: float) -> None:
    """APScheduler's own interval lists every run in between: for six years at five seconds, 38 million."""
    now, interval = datetime(2026, 11, 28, tzinfo=UTC), timedelta(seconds=interval_s)
    planned = now - timedelta(seconds=late_s)
    following = schedule.Every(interval).get_next_fire_time(planned, now)
    assert now < following <= now + interval
    assert schedule.Every(interval).get_next_fire_time(now, now) == now + interval


@given(steps=st.lists(st.floats(-10, 10), max_size=20))
def test_every_jump_is_told_once_and_small_steps_add_up(steps: list[float]) -> None:
    jumps: list[float] = []
    timekeeper, wall_s, monotonic_s = Timekeeper(jumps.append), time.time(), time.monotonic()
    for number, step in enumerate(steps):
        wall_s += 1 + step
        monotonic_s += 1
        timekeeper.look(wall_s, monotonic_s)
        assert abs(sum(jumps) - sum(steps[: number + 1])) <= JUMP_S + 0.1, "what is left untold is small"
    assert all(abs(jump) > JUMP_S for jump in jumps)


def test_the_jobs_run_beside_the_service_and_end_with_it(service: Service) -> None:
    with schedule.jobs_beside(service):
        names = {thread.name for thread in threading.enumerate()}
        assert "timekeeper" in names
    assert not {thread.name for thread in threading.enumerate()} & {"timekeeper", "APScheduler"}
