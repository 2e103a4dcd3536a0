"""Retention: deletes passed frames beyond the ring, old unanswered flags, old versions and old stream entries."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import structlog

from daemon.inference.engine import Engine
from daemon.learning.teach import TEACHING
from daemon.ledger.frames import (
    expired_flags,
    frame_before,
    images_beyond_ring,
    images_nobody_needs,
    oldest_that_may_go_ms,
)
from daemon.ledger.history import newest_events
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import KeptImage
from daemon.ledger.shift import FORGOTTEN
from daemon.service import Service
from daemon.streams import RedisLost

DAY_MS = 86_400_000
GB = 1_000_000_000
BATCH_ROWS = 5_000
SETTLED_FRAMES = 20_000
log = structlog.get_logger()


def retain(service: Service, now_s: float) -> None:
    """Delete what the retention settings no longer keep, at Unix time `now_s`.

    Frames with an operator's answer stay for ever: from them any version can be rebuilt. Others grow old only as
    frames come: the newest `SETTLED_FRAMES` never do, and the age of the rest is counted from the time of the newest
    of that rest. So a clock that is wrong for fewer frames deletes none.
    """
    engine = service.engine
    keep, ledger, now_ms = engine.settings.retention, engine.ledger, int(now_s * 1000)
    through, judged_ms = frame_before(ledger, SETTLED_FRAMES)
    settled_ms = min(now_ms, judged_ms)
    oldest_ms = int(settled_ms - keep.flagged_days * DAY_MS)
    expired = images_beyond_ring(ledger, keep.ring_frames) + expired_flags(
        ledger, oldest_ms, through, keep.flagged_frames
    )
    for image in expired:
        _drop(engine, image)
    expired += _fit_frames(engine, int(keep.frames_gb * GB))
    service.source.tidy(keep.ring_frames)
    rows = 0
    while gone := ledger.forget_before(int(settled_ms - keep.ledger_days * DAY_MS), through, BATCH_ROWS):
        rows += gone
    rows += _fit_ledger(ledger, through, int(keep.ledger_gb * GB))
    if rows:  # from here on the ledger is whole again: older reports are of what is left
        ledger.set_status(FORGOTTEN, {"until_ms": oldest_that_may_go_ms(ledger) or int(now_ms)})
    for spool in filter(Path.is_dir, engine.settings.state_dir.glob(f"{TEACHING}*")):
        with suppress(FileNotFoundError):  # its teach has just ended
            newest_s = max(path.stat().st_mtime for path in (spool, *spool.iterdir()))
            if now_ms - newest_s * 1000 > DAY_MS:  # its teach was killed
                shutil.rmtree(spool)
    versions = service.store.prune(engine.settings.memory.keep_versions, now_s)
    try:
        service.streams.trim(engine.settings.redis.keep_entries)
    except RedisLost as error:
        log.warning("streams not trimmed", error=str(error))
    if expired or rows or versions:
        log.info("retention", frames=len(expired), ledger_rows=rows, versions=versions)


def _drop(engine: Engine, image: KeptImage) -> int:
    """Delete a kept image unless an answer has come since. Returns the room that this gives."""
    took = engine.kept.bytes_of(image.name)
    forgotten = engine.ledger.forget_file(image.seq, lambda: engine.kept.drop(image.name))
    return took if forgotten else 0


def _fit_frames(engine: Engine, room_bytes: int) -> list[KeptImage]:
    """Delete kept images that nobody needs until the others fit; told where they never do."""
    over, dropped = engine.kept.total_bytes() - room_bytes, []
    for image in images_nobody_needs(engine.ledger) if over > 0 else ():
        if over <= 0:
            break
        over -= _drop(engine, image)
        dropped.append(image)
    if over > 0:
        log.warning("kept frames need more room", over_bytes=over, do="answer open reviews, or raise frames_gb")
        told = newest_events(engine.ledger, ("over_budget",), 1)
        if not told or engine.clock_ms() - told[0].at_ms > DAY_MS:
            engine.ledger.event(engine.clock_ms(), "over_budget", what="frames", over_bytes=over)
    return dropped


def _fit_ledger(ledger: Ledger, through: int, room_bytes: int) -> int:
    """Delete the oldest rows until the others fit. Returns how many were deleted."""
    rows = 0
    while ledger.used_bytes() > room_bytes and (gone := ledger.forget_oldest(through, BATCH_ROWS)):
        rows += gone
    return rows
