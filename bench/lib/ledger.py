"""What benchmarks read from a line's ledger."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.ledger.frames import newest_frames
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import JudgedFrame

HEAD = 20
EVERY_FRAME = 10**9


@dataclass(frozen=True)
class Timing:
    """When a frame was judged, Unix time in ms, and how long that took."""

    frame_id: str
    judged_ms: int
    judge_ms: float


def timings(ledger: Ledger, name: str) -> list[Timing]:
    """The timings of all frames whose ids begin with a name, in order."""
    frames = [frame for frame in newest_frames(ledger, EVERY_FRAME) if frame.frame_id.startswith(f"{name}-")]
    ordered = sorted(frames, key=lambda frame: frame.seq)
    return [Timing(frame.frame_id, frame.judged_ms, frame.timings["judge_ms"]) for frame in ordered]


def kept(ledger: Ledger) -> list[JudgedFrame]:
    """The first `HEAD` frames whose images are kept."""
    frames = [frame for frame in newest_frames(ledger, EVERY_FRAME) if frame.kept is not None]
    return sorted(frames, key=lambda frame: frame.seq)[:HEAD]


def is_running(ledger: Ledger) -> bool:
    """Whether the line's service has said that it runs."""
    return ledger.get_status("service") is not None
