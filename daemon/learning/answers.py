"""Operators' answers: checked, recorded once, and what people agree on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from daemon.learning.reliability import distrusted
from daemon.ledger.answers import frames_answered_in, learnable_on, standing_on
from daemon.ledger.frames import frames_named
from daemon.ledger.ledger import Ledger
from daemon.ledger.operators import checked_on
from daemon.ledger.records import Box, Effect, JudgedFrame, NewAnswer, RecordedAnswer, Span
from daemon.ledger.review_queue import answer_of_another
from daemon.streams import Message
from memory.errors import DriftlineError
from policies.verdict import Label

MAX_CHARS = 256
MOST_DIGITS = 9  # of milliseconds: more than a week
MOST_NAMED = 20


class FeedbackRejected(DriftlineError):
    """An answer that cannot be used; it goes to the dead-letter stream."""


@dataclass(frozen=True)
class Answer:
    """One operator's answer about one frame. `box` is (left, top, right, bottom) as shares of the image.

    `key` makes it count once, however often it is sent; by default it names frame, operator and label. `looked_ms` is
    how long the part was shown before, where the client knows. A `check` is about a known part, by which the operator
    is checked: it teaches nothing.
    """

    frame_id: str
    label: Label
    operator: str
    box: Box | None
    key: str
    looked_ms: int | None = None
    check: bool = False

    def fields(self) -> dict[str, str | bytes]:
        """The answer as the feedback stream carries it."""
        plain: dict[str, str | bytes] = {
            "frame_id": self.frame_id,
            "verdict": self.label.value,
            "operator": self.operator,
            "key": self.key,
        }
        if self.box:
            plain["region"] = json.dumps(self.box)
        if self.looked_ms is not None:
            plain["looked_ms"] = str(self.looked_ms)
        return plain | ({"check": "1"} if self.check else {})


def answer(
    frame_id: str,
    verdict: str,
    operator: str,
    region: str | None = None,
    key: str | None = None,
    looked_ms: str | None = None,
    *,
    check: bool = False,
) -> Answer:
    """A checked answer, its region in JSON. Raises FeedbackRejected naming the field that is wrong."""
    for name, value in (("frame_id", frame_id), ("operator", operator), ("key", key or "-")):
        if not value or len(value) > MAX_CHARS:
            raise _rejected(f"{name} of 1 to {MAX_CHARS} characters", f"{len(value or '')} characters")
    if verdict not in set(Label):
        raise _rejected("verdict good or defect", repr(verdict[:40]))
    key = key or f"{frame_id}|{operator}|{verdict}"
    return Answer(frame_id, Label(verdict), operator, _box(region), key, _looked_ms(looked_ms), check)


def parse(message: Message, instead: str | None = None) -> Answer:
    """The answer in a feedback message, about a frame or by the part's id; its verdict is `instead` where that is not
    None. Raises FeedbackRejected."""
    try:
        return answer(
            message.text("frame_id") or message.text("part_id") or "",
            instead or message.text("verdict") or "",
            message.text("operator") or "",
            message.text("region"),
            message.text("key"),
            message.text("looked_ms"),
            check=message.text("check") == "1",
        )
    except UnicodeDecodeError as error:
        raise _rejected("UTF-8 fields", str(error)) from error


def record(ledger: Ledger, answer: Answer, now_ms: int) -> RecordedAnswer | None:
    """Record an answer in the ledger. Returns None for a repetition, which changes nothing.

    Its `effect` is `accepted`; `correction` where it replaces an earlier answer of the same operator, which no longer
    counts; `contradiction` where another operator's answer stands against it, so that nothing is learned from the frame
    until people agree; `late` where the image is no longer kept or was never scored, so that nothing can be learned;
    `check` where it is about a known part; `unconfirmed` where its operator is distrusted
    (`daemon.learning.reliability`), so that a second person is asked; not so for imports, which an engineer makes.
    Whose trust is lost or won back by it is told. An answer by the id of a part is about its one frame. Raises
    FeedbackRejected for what was never judged.
    """
    answer = replace(answer, frame_id=judged(ledger, answer.frame_id).frame_id)
    concerned = {answer.operator, *checked_on(ledger, answer.frame_id)}
    before = {operator: distrusted(ledger, operator) for operator in concerned}
    effect = _effect(ledger, answer, before[answer.operator])
    recorded = ledger.record_answer(
        NewAnswer(
            key=answer.key,
            frame_id=answer.frame_id,
            label=answer.label,
            operator=answer.operator,
            box=answer.box,
            received_ms=now_ms,
            effect=effect,
            looked_ms=answer.looked_ms,
        )
    )
    if recorded is None:
        return None
    if effect is not Effect.ACCEPTED:
        detail = {"frame_id": answer.frame_id, "operator": answer.operator, "verdict": answer.label}
        ledger.event(now_ms, f"feedback_{effect}", **detail)
    for operator, reason in before.items():
        after = distrusted(ledger, operator)
        if bool(after) != bool(reason):
            ledger.event(
                now_ms, "operator_distrusted" if after else "operator_trusted", operator=operator, reason=after
            )
    return recorded


def _effect(ledger: Ledger, answer: Answer, distrust: str) -> Effect:
    frame = judged(ledger, answer.frame_id)
    if answer.check and answer_of_another(ledger, answer.frame_id, answer.operator):
        return Effect.CHECK
    labels = {standing.operator: standing.label for standing in standing_on(ledger, answer.frame_id)}
    own = labels.pop(answer.operator, answer.label)
    if frame.kept is None or frame.score is None:
        return Effect.LATE
    if distrust and not frame.imported:
        return Effect.UNCONFIRMED
    if set(labels.values()) - {answer.label}:
        return Effect.CONTRADICTION
    return Effect.ACCEPTED if own is answer.label else Effect.CORRECTION


def is_current(ledger: Ledger, answer: Answer) -> bool:
    """Whether this is its operator's newest answer about the frame and is not revoked."""
    standing = standing_on(ledger, answer.frame_id)
    return (answer.operator, answer.label, answer.box) in {(own.operator, own.label, own.box) for own in standing}


def agreed_in_span(ledger: Ledger, span: Span) -> list[RecordedAnswer]:
    """The answers that people agree on, one for each frame with an answer in `span`, oldest first.

    Of each operator, the newest answer that was not revoked stands; a frame whose standing answers differ is left out.
    """
    return agreed_on(ledger, frames_answered_in(ledger, span), span.through)


def agreed_on(ledger: Ledger, frames: Iterable[str], through: int) -> list[RecordedAnswer]:
    """The answers that people agree on, one for each of these frames, by answers up to `through` (`agreed_in_span`)."""
    agreed = []
    for frame_id in frames:
        answers = learnable_on(ledger, frame_id, through)
        if len({answer.label for answer in answers}) == 1:
            marked = [answer for answer in answers if answer.box]
            agreed.append((marked or answers)[-1])
    return agreed


def judged(ledger: Ledger, name: str) -> JudgedFrame:
    """The verdict on the frame of this id, or on the one frame of the part of this id. Raises FeedbackRejected where
    neither was judged, and where the part has several frames: the answer may be true of one alone."""
    if frame := ledger.frame(name):
        return frame
    frames = frames_named(ledger, name)
    if not frames:
        raise FeedbackRejected(
            expected="the id of a judged frame or part",
            came=name,
            do="send it again once the frame has its verdict; an old frame may have left the ledger",
        )
    if len(frames) > 1:
        raise FeedbackRejected(
            expected="the id of one frame",
            came=f"part {name}, of which {len(frames)} frames were judged",
            do=f"name the frame that shows it: {', '.join(each.frame_id for each in frames[:MOST_NAMED])}",
        )
    return frames[0]


def _box(text: str | None) -> Box | None:
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


def _looked_ms(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise _rejected(f"looked_ms of 1 to {MOST_DIGITS} digits", repr(text[:40]))
    return int(text)


def _rejected(expected: str, came: str) -> FeedbackRejected:
    return FeedbackRejected(expected=expected, came=came, do="correct it and send it again")
