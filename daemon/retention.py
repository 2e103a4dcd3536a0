"""Retention: deletes passed frames beyond the ring, old unanswered flags, old versions and old stream entries."""

from __future__ import annotations

import shutil

import structlog

from daemon.learning.teach import TEACHING
from daemon.ledger.frames import expired_flags, frame_before, images_beyond_ring
from daemon.service import Service
from daemon.streams import RedisLost

DAY_MS = 86_400_000
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
        if ledger.forget_file(image.seq):
            engine.kept.drop(image.name)
    service.source.tidy(keep.ring_frames)
    rows = 0
    while gone := ledger.forget_before(int(settled_ms - keep.ledger_days * DAY_MS), through, BATCH_ROWS):
        rows += gone
    for spool in engine.settings.state_dir.glob(f"{TEACHING}*"):
        if now_ms - spool.stat().st_mtime * 1000 > DAY_MS:  # its teach was killed
            shutil.rmtree(spool)
    versions = service.store.prune(engine.settings.memory.keep_versions, now_s)
    try:
        service.streams.trim(engine.settings.redis.keep_entries)
    except RedisLost as error:
        log.warning("streams not trimmed", error=str(error))
    if expired or rows or versions:
        log.info("retention", frames=len(expired), ledger_rows=rows, versions=versions)
