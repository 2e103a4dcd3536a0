"""An operator's answer: checked, recorded once, or set aside with a reason."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.ledger.ledger import Ledger, Row
from daemon.streams import Message
from memory.errors import DriftlineError

MAX_CHARS = 256
COUNTS = "id NOT IN (SELECT feedback_id FROM revoked)"


class FeedbackRejected(DriftlineError):
    """An answer that cannot be used; it goes to the dead-letter stream."""


@dataclass(frozen=True)
class Answer:
    """One operator's word on one frame. `region` is (left, top, right, bottom) as shares of the image.

    `key` makes it count once, however often it is sent; by default it names frame, operator and verdict.
    """

    frame_id: str
    verdict: str
    operator: str
    region: tuple[float, float, float, float] | None
    key: str

    def fields(self) -> dict[str, str | bytes]:
        """The answer as the feedback stream carries it."""
        plain: dict[str, str | bytes] = {
            "frame_id": self.frame_id,
            "verdict": self.verdict,
            "operator": self.operator,
            "key": self.key,
        }
        return plain | ({"region": json.dumps(self.region)} if self.region else {})


def answer(frame_id: str, verdict: str, operator: str, region: str | None = None, key: str | None = None) -> Answer:
    """A checked answer, its region in JSON. Raises FeedbackRejected naming the field that is wrong."""
    for name, value in (("frame_id", frame_id), ("operator", operator), ("key", key or "-")):
        if not value or len(value) > MAX_CHARS:
            raise _rejected(f"{name} of 1 to {MAX_CHARS} characters", f"{len(value or '')} characters")
    if verdict not in {"good", "defect"}:
        raise _rejected("verdict good or defect", repr(verdict[:40]))
    return Answer(frame_id, verdict, operator, _box(region), key or f"{frame_id}|{operator}|{verdict}")


def parse(message: Message) -> Answer:
    """The answer in a feedback message. Raises FeedbackRejected."""
    try:
        return answer(
            message.text("frame_id") or "",
            message.text("verdict") or "",
            message.text("operator") or "",
            message.text("region"),
            message.text("key"),
        )
    except UnicodeDecodeError as error:
        raise _rejected("UTF-8 fields", str(error)) from error


def record(ledger: Ledger, given: Answer, now_ms: int) -> Row | None:
    """Put an answer into the ledger; None for a repetition, which changes nothing.

    `effect` says what comes of it: `accepted`; `correction` where the operator takes back an own answer, which
    counts no more; `contradiction` where another operator's answer stands against it, so that nothing is learned
    from the frame until people agree; `late` where the image is no longer kept or was never scored, so that
    nothing can be learned. Raises FeedbackRejected for a frame that was never judged.
    """
    frame = judged(ledger, given.frame_id)
    before = latest_per_operator(
        ledger.all(f"SELECT * FROM feedback WHERE frame_id = ? AND key <> ? AND {COUNTS}", given.frame_id, given.key)  # noqa: S608  # constant
    )
    others = {a.verdict for (_, operator), a in before.items() if operator != given.operator}
    own = before.get((given.frame_id, given.operator))
    if frame["kept"] is None or frame["score"] is None:
        effect = "late"
    elif others - {given.verdict}:
        effect = "contradiction"
    else:
        effect = "correction" if own and own.verdict != given.verdict else "accepted"
    row = ledger.record_answer(
        {
            "key": given.key,
            "frame_id": given.frame_id,
            "verdict": given.verdict,
            "operator": given.operator,
            "region": json.dumps(given.region) if given.region else None,
            "received_ms": now_ms,
            "effect": effect,
        }
    )
    if row is not None and effect != "accepted":
        told = {"frame_id": given.frame_id, "operator": given.operator, "verdict": given.verdict}
        ledger.event(now_ms, f"feedback_{effect}", **told)
    return row


def is_current(ledger: Ledger, said: Answer) -> bool:
    """Whether this is what its operator said of the frame last, and nobody has revoked it."""
    query = f"SELECT * FROM feedback WHERE frame_id = ? AND operator = ? AND {COUNTS} ORDER BY id"  # noqa: S608  # constant
    own = latest_per_operator(ledger.all(query, said.frame_id, said.operator)).get((said.frame_id, said.operator))
    return own is not None and (own.verdict, own.region) == (said.verdict, said.region)


def agreed_in_span(ledger: Ledger, after: int, through: int) -> list[Answer]:
    """What people agree on, one answer a frame, for frames with an answer in (`after`, `through`], oldest first.

    Each operator's newest answer that was not revoked stands; a frame whose standing answers differ is left out.
    """
    rows = ledger.all(
        "SELECT frame_id FROM feedback WHERE id > ? AND id <= ? AND effect <> 'late'"
        " GROUP BY frame_id ORDER BY min(id)",
        after,
        through,
    )
    return agreed_on(ledger, [row["frame_id"] for row in rows], through)


def agreed_on(ledger: Ledger, frames: Sequence[str], through: int) -> list[Answer]:
    """What people agreed on, by answers up to `through`, of these frames: as `settled` tells it."""
    agreed = []
    for frame_id in frames:
        rows = ledger.all(
            f"SELECT * FROM feedback WHERE frame_id = ? AND id <= ? AND effect <> 'late' AND {COUNTS} ORDER BY id",  # noqa: S608  # constant
            frame_id,
            through,
        )
        answers = list(latest_per_operator(rows).values())
        if len({a.verdict for a in answers}) == 1:
            marked = [a for a in answers if a.region]
            agreed.append((marked or answers)[-1])
    return agreed


def latest_per_operator(rows: list[Row]) -> dict[tuple[str, str], Answer]:
    """The newest answer of each operator to each frame, in the order of first answers."""
    standing: dict[tuple[str, str], Answer] = {}
    for row in rows:
        region = tuple(json.loads(row["region"])) if row["region"] else None
        given = Answer(row["frame_id"], row["verdict"], row["operator"], region, row["key"])
        standing[row["frame_id"], row["operator"]] = given
    return standing


def judged(ledger: Ledger, frame_id: str) -> Row:
    """The frame's verdict. Raises FeedbackRejected for a frame that was never judged."""
    frame = ledger.frame(frame_id)
    if frame is None:
        raise FeedbackRejected(
            expected="the id of a judged frame",
            came=frame_id,
            do="send it again once the frame has its verdict; an old frame may have left the ledger",
        )
    return frame


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if not text:
        return None
    try:
        region = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _rejected("a region in JSON", f"{text[:80]!r}, {type(error).__name__}") from error
    numeric = isinstance(region, list | tuple) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in region
    )
    if not numeric or len(region) != 4:
        raise _rejected("region [left, top, right, bottom]", repr(region)[:80])
    left, top, right, bottom = (float(v) for v in region)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise _rejected("0 ≤ left < right ≤ 1 and 0 ≤ top < bottom ≤ 1", repr(region)[:80])
    return left, top, right, bottom


def _rejected(expected: str, came: str) -> FeedbackRejected:
    return FeedbackRejected(expected=expected, came=came, do="correct it and send it again")
