#!/usr/bin/env bash
# APScheduler 3: a clock set back by an hour stops every interval job for that hour, in silence; set forward, it lists
# every run in between.
#
# An "interval" of one second is kept as the wall-clock time of the next run. When NTP or a person sets the clock back, the
# scheduler sleeps until the old time has come again: no event, no log line, and `get_jobs()` still shows a next run. A
# heartbeat job on a PC whose clock is corrected after a boot is thus dead for as long as the clock was ahead. Set forward,
# all missed runs are put in one list first, also with coalesce=True, which then runs only the last: ten days of a job that
# is due four times a second are 3.5 million times, more than 100 MB. Way round: watch wall clock against monotonic clock and
# move each job's next_run_time back by the difference; and a trigger of one's own, whose next time is never in the past.
# Seen on 28 November 2026 with apscheduler 3.11.3 on Python 3.11; fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/jumps.py" <<'PY'
import datetime
import importlib.metadata
import logging
import resource
import time

import apscheduler.schedulers.base
from apscheduler.schedulers.background import BackgroundScheduler

logging.disable(logging.CRITICAL)
ahead = datetime.timedelta(0)


class Clock(datetime.datetime):
    """The wall clock of this process, which `ahead` sets."""

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + ahead


apscheduler.schedulers.base.datetime = Clock


def runs_after(jump):
    """Whether a job that is due every quarter of a second runs in two seconds after a jump, whether a next run is shown,
    and whether more than 100 MB were needed."""
    global ahead
    ahead, ran = datetime.timedelta(0), []
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(lambda: ran.append(1), "interval", seconds=0.25, misfire_grace_time=60, coalesce=True)
    scheduler.start()
    time.sleep(1.5)
    assert len(ran) > 2
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ahead = jump
    time.sleep(0.6)  # what was under way when the clock jumped
    ran.clear()
    time.sleep(2)
    still = scheduler.get_jobs()[0].next_run_time is not None  # waits for a scheduler that is busy
    time.sleep(2)
    scheduler.shutdown()
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    return len(ran) > 2, still, grown_mb > 100


print("apscheduler", importlib.metadata.version("apscheduler"))
jumps = {"no jump": (0, 0), "an hour back": (0, -1), "an hour forward": (0, 1), "ten days forward": (10, 0)}
for name, (days, hours) in jumps.items():
    runs, still, large = runs_after(datetime.timedelta(days=days, hours=hours))
    print(f"{name}: runs {runs}, next run shown {still}, more than 100 MB {large}")
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "apscheduler==3.11.3" "tzlocal==5.3.1" >&2
told=$("$folder/venv/bin/python" "$folder/jumps.py")
echo "$told"
[[ $told == "apscheduler 3.11.3
no jump: runs True, next run shown True, more than 100 MB False
an hour back: runs False, next run shown True, more than 100 MB False
an hour forward: runs True, next run shown True, more than 100 MB False
ten days forward: runs True, next run shown True, more than 100 MB True" ]]
echo "as described"
