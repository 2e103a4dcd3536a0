"""The jobs beside the frames: bounded, and never failing in silence."""

from __future__ import annotations

import time

from apscheduler.schedulers.background import BackgroundScheduler
from conftest import rows

from daemon import schedule
from daemon.service import Service


def test_jobs_are_bounded_and_a_failing_or_missed_one_is_told(service: Service) -> None:
    jobs: BackgroundScheduler = schedule.scheduler(service)
    jobs.start(paused=True)
    try:
        scheduled = {job.id: job for job in jobs.get_jobs()}
        assert set(scheduled) == {"admission", "recalibration", "snapshot", "retention"}
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


def test_a_snapshot_tells_other_processes(service: Service) -> None:
    schedule.snapshot(service)
    status = service.engine.ledger.get_status("service")
    assert status is not None
    assert (status["version"], status["broker"], status["untrained_weights"]) == (1, "memory://", True)
