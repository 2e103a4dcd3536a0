"""Queries about judged frames."""

from __future__ import annotations

from daemon.ledger.ledger import Ledger
from daemon.ledger.records import JudgedFrame, KeptImage
from daemon.ledger.rows import judged_frame
from drift.regimes import FIRST_TIME_MS, TAUGHT
from policies.shadow import Disagreement
from policies.verdict import Verdict


def newest_frames(ledger: Ledger, limit: int) -> list[JudgedFrame]:
    """The newest frames that passed the line, newest first."""
    rows = ledger.database.rows("SELECT * FROM line_frames ORDER BY seq DESC LIMIT ?", limit)
    return [judged_frame(row) for row in rows]


def newest_scored(ledger: Ledger, limit: int) -> list[JudgedFrame]:
    """The newest frames that passed the line, were scored and are still kept, newest first."""
    rows = ledger.database.rows(
        "SELECT * FROM line_frames WHERE score IS NOT NULL AND kept IS NOT NULL ORDER BY seq DESC LIMIT ?", limit
    )
    return [judged_frame(row) for row in rows]


def newest_passed(ledger: Ledger) -> JudgedFrame | None:
    """The newest frame of the line that was passed and is still kept."""
    row = ledger.database.row(
        "SELECT * FROM line_frames WHERE verdict = 'OK' AND kept IS NOT NULL ORDER BY seq DESC LIMIT 1"
    )
    return judged_frame(row) if row else None


def passed_in_a_row(ledger: Ledger, most: int) -> int:
    """How many of the line's newest `most` frames were passed since one was not, or since its first."""
    rows = ledger.database.rows("SELECT verdict FROM line_frames ORDER BY seq DESC LIMIT ?", most)
    verdicts = [row["verdict"] for row in rows]
    return next((number for number, verdict in enumerate(verdicts) if verdict != "OK"), len(verdicts))


def first_seen_ms(ledger: Ledger, regime: int) -> int:
    """The time when a regime was first seen (Unix, ms), 0 for the taught parts'.

    Where retention has removed that frame, it is the time of the next one on record: the parts that made a regime
    known are among them.
    """
    if regime == TAUGHT or regime >= FIRST_TIME_MS:
        return regime
    return ledger.database.number(
        "SELECT coalesce(min(judged_ms), 0) FROM (SELECT judged_ms FROM frames"
        " WHERE seq >= min(?, (SELECT max(seq) FROM frames)) ORDER BY seq LIMIT 1)",
        regime,
    )


def newest_measured(ledger: Ledger) -> JudgedFrame | None:
    """The newest frame of the line whose scene was measured."""
    row = ledger.database.row("SELECT * FROM line_frames WHERE signals IS NOT NULL ORDER BY seq DESC LIMIT 1")
    return judged_frame(row) if row else None


def measured_under(ledger: Ledger, reference: str, limit: int) -> list[JudgedFrame]:
    """The newest measured frames since `reference` became the one that the line is measured against, oldest first."""
    rows = ledger.database.rows(
        "SELECT * FROM line_frames WHERE signals IS NOT NULL AND reference = ?"
        " AND seq > (SELECT coalesce(max(seq), 0) FROM line_frames WHERE reference <> ?) ORDER BY seq DESC LIMIT ?",
        reference,
        reference,
        limit,
    )
    return [judged_frame(row) for row in reversed(rows)]


def frames_named(ledger: Ledger, name: str) -> list[JudgedFrame]:
    """The frame of this id, or all frames of the part of this id, oldest first."""
    rows = ledger.database.rows("SELECT * FROM frames WHERE frame_id = ? OR part_id = ? ORDER BY seq", name, name)
    return [judged_frame(row) for row in rows]


def frame_numbered(ledger: Ledger, seq: int) -> JudgedFrame | None:
    """The frame of this sequence number."""
    row = ledger.database.row("SELECT * FROM frames WHERE seq = ?", seq)
    return judged_frame(row) if row else None


def last_seq(ledger: Ledger) -> int:
    """The sequence number of the newest frame, 0 before the first."""
    return ledger.database.number("SELECT max(seq) FROM frames")


def review_set(ledger: Ledger) -> list[JudgedFrame]:
    """Kept frames that people were asked about, or have an answer that may teach, oldest first."""
    rows = ledger.database.rows(
        "SELECT * FROM frames WHERE kept IS NOT NULL AND (asked = 1 OR frame_id IN"
        " (SELECT frame_id FROM counting WHERE effect <> 'late')) ORDER BY seq"
    )
    return [judged_frame(row) for row in rows]


def trial_frames(ledger: Ledger, after: int) -> int:
    """The number of frames since sequence number `after` that a proposal on trial has scored too."""
    return ledger.database.number("SELECT count(*) FROM frames WHERE seq > ? AND trial IS NOT NULL", after)


def trial_disagreements(ledger: Ledger, after: int) -> tuple[Disagreement, ...]:
    """Frames since `after` that a proposal on trial would have judged otherwise, oldest first."""
    rows = ledger.database.rows(
        "SELECT frame_id, verdict, trial FROM frames WHERE seq > ? AND trial <> verdict ORDER BY seq", after
    )
    return tuple(Disagreement(row["frame_id"], Verdict(row["verdict"]), Verdict(row["trial"])) for row in rows)


def images_beyond_ring(ledger: Ledger, ring: int) -> list[KeptImage]:
    """Kept images of passed frames that nobody was asked about or has answered for, but the newest `ring`."""
    rows = ledger.database.rows(
        "SELECT seq, kept FROM unanswered WHERE kept IS NOT NULL AND asked = 0 AND verdict = 'OK'"
        " ORDER BY seq DESC LIMIT -1 OFFSET ?",
        ring,
    )
    return [KeptImage(row["seq"], row["kept"]) for row in rows]


def images_nobody_needs(ledger: Ledger) -> list[KeptImage]:
    """Kept images of frames that nobody was asked about or has answered for: of passed ones first, each kind oldest
    first."""
    rows = ledger.database.rows(
        "SELECT seq, kept FROM unanswered WHERE kept IS NOT NULL AND asked = 0 ORDER BY verdict <> 'OK', seq"
    )
    return [KeptImage(row["seq"], row["kept"]) for row in rows]


def oldest_that_may_go_ms(ledger: Ledger) -> int | None:
    """When the oldest frame was judged that retention may delete next (Unix, ms); None without one."""
    row = ledger.database.row(
        "SELECT judged_ms FROM unanswered WHERE published = 1 AND kept IS NULL ORDER BY seq LIMIT 1"
    )
    return row["judged_ms"] if row else None


def frame_before(ledger: Ledger, frames: int) -> tuple[int, int]:
    """The number of the frame that so many newer ones follow, and when it was judged (Unix, ms); 0 and 0 where there is
    none."""
    row = ledger.database.row("SELECT seq, judged_ms FROM line_frames ORDER BY seq DESC LIMIT 1 OFFSET ?", frames)
    return (row["seq"], row["judged_ms"]) if row else (0, 0)


def expired_flags(ledger: Ledger, before_ms: int, through: int, most: int) -> list[KeptImage]:
    """Kept images of frames that were flagged or asked about and that nobody has answered for: of those up to the
    number `through` the ones judged before a time, and those beyond the newest `most`."""
    rows = ledger.database.rows(
        "WITH flagged AS ("
        " SELECT seq, kept, judged_ms, row_number() OVER (ORDER BY seq DESC) AS place FROM unanswered"
        " WHERE kept IS NOT NULL AND (asked = 1 OR verdict <> 'OK'))"
        " SELECT seq, kept FROM flagged WHERE (judged_ms < ? AND seq <= ?) OR place > ?",
        before_ms,
        through,
        most,
    )
    return [KeptImage(row["seq"], row["kept"]) for row in rows]


def image_repeats(ledger: Ledger, image_sha256: str, times: int) -> bool:
    """Whether a new frame with this image is at least the one of that number in a row that the line has given: noise
    makes every image of a camera that works another one."""
    rows = ledger.database.rows("SELECT image_sha256 FROM line_frames ORDER BY seq DESC LIMIT ?", times - 1)
    return [row["image_sha256"] for row in rows] == [image_sha256] * (times - 1)
