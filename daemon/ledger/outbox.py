"""The outbox: verdicts and events of the ledger, published to the streams in order, each under its own id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from daemon.ledger.ledger import Ledger
from daemon.ledger.records import JudgedFrame, RecordedEvent
from daemon.ledger.rows import event_detail, judged_frame, recorded_event
from daemon.streams import RedisStreams, Stream

BATCH = 100


def publish(ledger: Ledger, streams: RedisStreams) -> None:
    """Publish a batch of verdicts and one of events. A crash between two steps repeats an entry under an id that is in
    the stream already, which changes nothing. Raises RedisLost."""
    for frame in _unpublished_verdicts(ledger):
        streams.send(Stream.VERDICTS, verdict_fields(frame), frame.wire_id)
        ledger.mark_verdict_published(frame.seq)
    for event in _unpublished_events(ledger):
        streams.send(Stream.EVENTS, {"kind": event.kind, "detail": event_detail(event.detail)}, event.entry)
        ledger.mark_event_published(event.id)


def verdict_fields(frame: JudgedFrame) -> dict[str, str | bytes]:
    """A verdict as the verdicts stream carries it: flat text fields, absent where unknown."""
    fields: Mapping[str, Any] = {
        "frame_id": frame.frame_id,
        "part_id": frame.part_id,
        "verdict": frame.verdict,
        "reason": frame.reason,
        "score": None if frame.score is None else repr(frame.score),
        "p_value": frame.p_value,
        "threshold": None if frame.threshold is None else repr(frame.threshold),
        "version": frame.version,
        "nearest": None if frame.evidence is None else json.dumps(frame.evidence),
        "drift": json.dumps(frame.drift),
        "map": frame.kept if frame.score is not None else None,
        "asked": int(frame.asked),
        "timings": json.dumps(frame.timings),
        "judged_ms": frame.judged_ms,
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


def _unpublished_verdicts(ledger: Ledger) -> list[JudgedFrame]:
    rows = ledger.database.rows("SELECT * FROM frames WHERE published = 0 ORDER BY seq LIMIT ?", BATCH)
    return [judged_frame(row) for row in rows]


def _unpublished_events(ledger: Ledger) -> list[RecordedEvent]:
    rows = ledger.database.rows("SELECT * FROM events WHERE published = 0 ORDER BY id LIMIT ?", BATCH)
    return [recorded_event(row) for row in rows]
