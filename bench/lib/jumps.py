"""A running line whose PC's clock jumps, by libfaketime; and one that is stopped while frames wait."""

from __future__ import annotations

import glob
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from bench.lib.running_line import RunningLine, running
from daemon.datasets.rendered import part
from daemon.settings.load import Settings

LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"
HOUR_S, YEAR_S = 3_600, 365 * 86_400
JUMPS_S = (1, -1, 60, -60, HOUR_S, -2 * HOUR_S, 2 * HOUR_S, YEAR_S, -YEAR_S, 6 * YEAR_S, -6 * YEAR_S)
SEEN_S = 6.0  # how long a line is watched after a jump


def jumps(settings: Settings, folder: Path, jumps_s: tuple[int, ...] = JUMPS_S) -> Iterator[str]:
    """Rows on a line that judges frames while its clock jumps to so many seconds from the true time."""
    found = glob.glob(LIBRARY)  # noqa: PTH207  # its folder is named for the processor
    if not found:
        yield "| jumps of the clock | not run: no libfaketime |"
        return
    offset = folder / "offset"
    offset.write_text("+0")
    environ = {
        "LD_PRELOAD": found[0],
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    wrong = stopped = sent = 0
    latest_s = grown = 0.0
    with running(settings, folder, environ) as line:
        line.ready_s()
        for _ in range(3):
            sent = _one_more(line, sent)
        for jump_s in jumps_s:
            before, held = line.report()["moment"]["at_s"], line.memory_bytes()
            offset.write_text(f"{jump_s:+d}")
            began_s, told_s = time.monotonic(), None
            while time.monotonic() - began_s < SEEN_S:
                started_s = time.monotonic()
                sent = _one_more(line, sent)
                latest_s = max(latest_s, time.monotonic() - started_s)
                told = line.report()
                wrong += not told["running"]
                if told_s is None and told["moment"]["at_s"] > max(before, began_s):
                    told_s = time.monotonic() - began_s
            stopped += told_s is None
            latest_s = max(latest_s, (told_s or SEEN_S) - settings.schedule.snapshot_s)
            grown = max(grown, line.memory_bytes() - held)
        line.ended(signal.SIGKILL)
        time.sleep(settings.schedule.fresh_s + 0.1)
        wrong += line.report()["running"]
    named = f"{len(jumps_s)} jumps of the clock, of ±1 s to ±6 years"
    yield f"| {named}: wrong readiness, stopped jobs | {wrong}, {stopped} |"
    yield f"| the latest verdict or job, s; memory grown at most, MB | {latest_s:.2f}; {grown / 1e6:.0f} |"


def stopped_under_load(settings: Settings, folder: Path, times: int) -> Iterator[str]:
    """A row on a line that is told to stop while frames wait, and goes on."""
    sent, longest_s, failed = 0, 0.0, 0
    for _ in range(times):
        with running(settings, folder) as line:
            line.ready_s()
            for _ in range(40):
                sent += 1
                line.send(f"load {sent}", _image(sent))
            time.sleep(0.3)
            began_s = time.monotonic()
            failed += line.ended() != 0
            longest_s = max(longest_s, time.monotonic() - began_s)
    with running(settings, folder) as line:
        line.until_judged(sent)
        lost = sent - line.judged()
    what = f"SIGTERM under load, {times} times: bad exits, frames lost; the longest end, s"
    yield f"| {what} | {failed}, {lost}; {longest_s:.2f} |"


def _one_more(line: RunningLine, sent: int) -> int:
    line.send(f"frame {sent}", _image(sent))
    line.until_judged(sent + 1)
    return sent + 1


def _image(number: int) -> bytes:
    return cv2.imencode(".png", part(5_000 + number)[:, :, ::-1])[1].tobytes()
