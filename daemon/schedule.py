"""The background jobs, scheduled by APScheduler; what a job last did is in the ledger and the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from tzlocal import get_localzone

from daemon.clock import Timekeeper
from daemon.inspection import inspect
from daemon.ledger.database import DISK_ERRORS
from daemon.ledger.history import last_lesson_ms
from daemon.ledger.records import SHIFT_REPORTED
from daemon.ledger.state import open_state
from daemon.reporting.shift import report
from daemon.reporting.shift_files import figures, shift_before, write
from daemon.retention import retain
from daemon.service import Service
from memory.runtime import give_back_freed_memory

MEMORY_S = 30.0  # between two times that freed memory is given back; it takes tens of milliseconds
log = structlog.get_logger()
EXECUTORS = ("default", "lessons", "retraining", "reports", "status")
EVENT_KINDS = {
    EVENT_JOB_ERROR: "job_failed",
    EVENT_JOB_MAX_INSTANCES: "job_still_running",
    EVENT_JOB_MISSED: "job_missed",
}


class Every(BaseTrigger):  # type: ignore[misc]  # apscheduler has no annotations
    """A run after every `interval`. What was missed while the clock jumped ahead is missed: APScheduler's own interval
    would list every run of six years, and run the last."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The time of the next run, after `now` in any case."""
        due = (previous_fire_time or now) + self._interval
        return due if due > now else now + self._interval


def scheduler(service: Service) -> BackgroundScheduler:
    """The service's jobs, not yet started. Lessons have a thread of their own, so no other job waits for one, and so
    have retraining and reports, which wait for other processes, and the status, or a service whose retention deletes
    much would look dead.

    A failed, missed or skipped run is logged and recorded as an event. A run skipped because the last one still runs is
    recorded too; for lessons that is normal.
    """
    times = service.engine.settings.schedule
    jobs = BackgroundScheduler(
        timezone="UTC",
        executors={name: ThreadPoolExecutor(1) for name in EXECUTORS},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": times.misfire_grace_s},
    )

    def every(seconds: float, call: Callable[[], object], name: str, executor: str = "default") -> None:
        jobs.add_job(call, Every(timedelta(seconds=seconds)), id=name, executor=executor)

    every(times.admission_s, service.lesson_if_due, "admission", "lessons")
    every(times.recalibration_s, service.recalibrate, "recalibration", "lessons")
    every(times.retraining_s, service.retrain, "retraining", "retraining")
    last_ms = last_lesson_ms(service.engine.ledger)
    if last_ms is not None:
        # On a PC that is switched off at night, an interval counted from the start would never end.
        due_s = last_ms / 1000 + times.recalibration_s
        next_s = min(max(due_s, time.time() + times.admission_s), time.time() + times.recalibration_s)
        jobs.modify_job("recalibration", next_run_time=datetime.fromtimestamp(next_s, UTC))
    every(times.snapshot_s, lambda: snapshot(service), "snapshot", "status")
    every(times.retention_s, lambda: retain(service, time.time()), "retention")
    every(times.inspection_s, lambda: inspect(service), "inspection")
    every(MEMORY_S, give_back_freed_memory, "memory")
    reports = service.engine.settings.reports
    if reports.folder is not None or reports.webhook:
        begins = CronTrigger(hour=",".join(map(str, reports.hours)), timezone=get_localzone())
        jobs.add_job(lambda: report_shift(service), begins, id="reports", executor="reports")
    for name in ("inspection", "retraining"):  # a PC that is switched off at night starts every day
        jobs.modify_job(name, next_run_time=datetime.now(UTC) + timedelta(seconds=times.admission_s))
    jobs.add_listener(
        lambda event: _record_event(service, event), EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES
    )
    return jobs


@contextmanager
def jobs_beside(service: Service) -> Iterator[None]:
    """Run the service's jobs meanwhile; a job under way is finished at the end."""
    jobs = scheduler(service)
    timekeeper = Timekeeper(lambda jump_s: jumped(service, jobs, jump_s))
    jobs.start()
    timekeeper.start()
    try:
        yield
    finally:
        timekeeper.end()
        jobs.shutdown(wait=True)


def snapshot(service: Service) -> None:
    """Publish the status for other processes, and activate versions that they committed."""
    service.notice_versions()
    service.engine.ledger.set_status("service", service.status())
    if service.inspection.trouble:
        inspect(service)  # an engineer who rolled back need not wait for the hour


def report_shift(service: Service) -> None:
    """Report the shift that has just ended, by this PC's clock: as files, and as an event for the plant, as set."""
    settings, now = service.engine.settings, datetime.now(get_localzone())
    state = open_state(settings.state_dir)  # its own: no frame waits for a query over a whole shift
    shift = shift_before(now, settings.reports.hours)
    try:
        told, folder = report(state, settings, shift), settings.reports.folder
        if settings.reports.webhook:  # first: it needs neither the folder nor WeasyPrint
            service.engine.ledger.event(service.engine.clock_ms(), SHIFT_REPORTED, **figures(told))
        files = write(told, state, settings, now.tzinfo or UTC, folder) if folder else []
    finally:
        state.ledger.close(fold=False)  # folding waits for readers, and the service's frames for it
    log.info("shift reported", files=[str(file) for file in files])


def jumped(service: Service, jobs: BackgroundScheduler, jump_s: float) -> None:
    """Tell a jump of the PC's clock. Where it was set back, every job is moved with it, or all would stop until the old
    time has come again. Where it was set forward, they are late or missed once and go on."""
    for job in jobs.get_jobs():
        if jump_s < 0 and job.next_run_time is not None:
            job.modify(next_run_time=job.next_run_time + timedelta(seconds=jump_s))
    log.warning("the clock jumped", seconds=round(jump_s, 1), do="see to the PC's time service (NTP)")
    with suppress(*DISK_ERRORS):
        service.engine.ledger.event(service.engine.clock_ms(), "clock_jumped", seconds=round(jump_s, 1))


def _record_event(service: Service, event: JobEvent) -> None:
    kind, error = EVENT_KINDS[event.code], getattr(event, "exception", None)
    log.error(kind, job=event.job_id, error=repr(error) if error else None)
    with suppress(*DISK_ERRORS):  # where the disk takes nothing, the log has told it
        service.engine.ledger.event(service.engine.clock_ms(), kind, job=event.job_id, error=repr(error))
