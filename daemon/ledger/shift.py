"""Queries about the frames of a time or a lot: verdicts, answers, versions and what was told meanwhile."""

from __future__ import annotations

import json
from dataclasses import dataclass

from daemon.ledger.frame_list import LAST
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import JudgedFrame, RecordedEvent
from daemon.ledger.rows import judged_frame, recorded_event
from policies.accounts import Account, Labelled
from policies.verdict import Label, Verdict

FORGOTTEN = "forgotten"  # the status that retention writes
CHOSEN = (
    "chosen AS (SELECT seq, frame_id, verdict, version, judged_ms, audited, answered FROM line_frames"
    " WHERE judged_ms >= ?1 AND judged_ms < ?2 AND (?3 IS NULL OR part_id BETWEEN ?3 AND ?3 || ?4))"
)
# A frame has a label where all answers about it that stand say the same.
SAID = (
    "said AS (SELECT frame_id, min(verdict) AS label FROM standing WHERE frame_id IN"
    " (SELECT frame_id FROM chosen WHERE answered) GROUP BY frame_id HAVING count(DISTINCT verdict) = 1)"
)


@dataclass(frozen=True)
class Shift:
    """Frames that were judged from `since_ms` until before `until_ms` (Unix, ms), and whose parts' ids begin with
    `lot`, if that is not None."""

    since_ms: int
    until_ms: int
    lot: str | None = None

    @property
    def values(self) -> tuple[int, int, str | None, str]:
        """What `CHOSEN` asks for."""
        return self.since_ms, self.until_ms, self.lot, LAST


@dataclass(frozen=True)
class InForce:
    """A version that judged: how many frames, and when the first and the last (Unix, ms)."""

    version: int | None
    frames: int
    first_ms: int
    last_ms: int


def account(ledger: Ledger, shift: Shift) -> Account:
    """The frames of a shift by verdict and label."""
    rows = ledger.database.rows(
        f"WITH {CHOSEN}, {SAID} SELECT verdict, audited, label, count(*) FROM chosen"  # noqa: S608  # our own words
        " LEFT JOIN said USING (frame_id) GROUP BY verdict, audited, label",
        *shift.values,
    )

    def labelled(verdict: Verdict, *, drawn: bool) -> Labelled:
        of = dict.fromkeys((None, Label.GOOD, Label.DEFECT), 0)
        for row in rows:
            if row["verdict"] == verdict and (row["audited"] or not drawn):
                of[row["label"]] += row[3]
        return Labelled(sum(of.values()), of[Label.GOOD], of[Label.DEFECT])

    return Account(
        passed=labelled(Verdict.OK, drawn=False),
        rejected=labelled(Verdict.NG, drawn=False),
        unknown=labelled(Verdict.UNKNOWN, drawn=False),
        drawn=labelled(Verdict.OK, drawn=True),
    )


def defects(ledger: Ledger, shift: Shift, limit: int) -> list[JudgedFrame]:
    """The newest frames of a shift that people call defects, newest first."""
    rows = ledger.database.rows(
        f"WITH {CHOSEN}, {SAID} SELECT frames.* FROM chosen JOIN said USING (frame_id)"  # noqa: S608  # our own words
        " JOIN frames USING (seq) WHERE label = 'defect' ORDER BY seq DESC LIMIT ?5",
        *shift.values,
        limit,
    )
    return [judged_frame(row) for row in rows]


def in_force(ledger: Ledger, shift: Shift) -> list[InForce]:
    """The versions that judged the frames of a shift, in the order in which they first did."""
    rows = ledger.database.rows(
        f"WITH {CHOSEN} SELECT version, count(*), min(judged_ms), max(judged_ms) FROM chosen"  # noqa: S608  # our own
        " GROUP BY version ORDER BY min(seq)",
        *shift.values,
    )
    return [InForce(*row) for row in rows]


def answered_by(ledger: Ledger, shift: Shift) -> dict[str, dict[str, int]]:
    """How many answers that are not revoked each operator gave about frames of a shift, by label."""
    rows = ledger.database.rows(
        f"WITH {CHOSEN} SELECT operator, verdict, count(*) FROM answers"  # noqa: S608  # our own words
        " WHERE revoked_by IS NULL AND frame_id IN (SELECT frame_id FROM chosen) GROUP BY operator, verdict",
        *shift.values,
    )
    given: dict[str, dict[str, int]] = {}
    for row in rows:
        given.setdefault(row[0], {})[row[1]] = row[2]
    return given


def told_between(ledger: Ledger, shift: Shift, kinds: tuple[str, ...]) -> list[RecordedEvent]:
    """The events of these kinds in the time of a shift, oldest first."""
    rows = ledger.database.rows(
        "SELECT * FROM events WHERE at_ms >= ? AND at_ms < ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY id",
        shift.since_ms,
        shift.until_ms,
        json.dumps(kinds),
    )
    return [recorded_event(row) for row in rows]


def forgotten_until_ms(ledger: Ledger) -> int:
    """Until when frames without an answer have left the ledger (Unix, ms), 0 where none has: of what was judged before,
    only a part is left, and no fair one."""
    return int((ledger.get_status(FORGOTTEN) or {"until_ms": 0})["until_ms"])
