"""Parts as people look them up: found by id, time or verdict, and one with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daemon.console.line import LineView
from daemon.ledger import frame_list, provenance
from daemon.ledger.frame_list import ListedFrame, Search
from daemon.ledger.frames import frame_numbered, frames_named
from daemon.ledger.records import Effect
from memory.errors import DriftlineError

EFFECTS = {
    Effect.ACCEPTED: "counts",
    Effect.CORRECTION: "counts, and replaces an earlier one",
    Effect.CONTRADICTION: (
        "people differ: nothing is learned until they agree. Whoever was wrong takes the answer back or answers again;"
        " for somebody who cannot, an engineer does (`driftline revoke`)"
    ),
    Effect.LATE: "counts, but nothing can be learned: no image of it is kept, or it was never scored",
    Effect.CHECK: "a check of the operator",
    Effect.UNCONFIRMED: "waits for a second person",
}


@dataclass(frozen=True)
class Parts:
    """The judged frames of one line, to be looked up."""

    line: LineView

    def found(self, search: Search, limit: int) -> list[ListedFrame]:
        """The newest frames that are looked for, newest first."""
        return frame_list.frames_found(self.line.state.ledger, search, limit)

    def shown(self, seq: int) -> dict[str, Any]:
        """A frame, why it was judged so, its picture's kinds, and the other frames of its part, oldest first. Raises
        DriftlineError where none has this number."""
        store, ledger = self.line.state.store, self.line.state.ledger
        frame = frame_numbered(ledger, seq)
        if frame is None:
            raise DriftlineError(
                expected="the number of a frame on record",
                came=f"number {seq}, which none has",
                do="look it up on Parts; retention.ledger_days says how long unanswered frames are known",
            )
        why = provenance.why(store, ledger, frame)
        return {
            "frame": frame,
            "why": why,
            "answers": [answer | {"effect": EFFECTS[Effect(answer["effect"])]} for answer in why["answers"]],
            "others": [each for each in frames_named(ledger, frame.part_id) if each.seq != seq],
            "depth": provenance.depth_behind(store, frame) is not None,
        }
