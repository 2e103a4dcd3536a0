"""What feedback messages say: an answer about a part, or that its operator takes one back."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.inference.engine import Engine
from daemon.learning.answers import FeedbackRejected, judged, parse, record
from daemon.ledger.answers import answers_on
from daemon.ledger.history import learned_in
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Effect, RecordedAnswer
from daemon.streams import Message
from memory.version import Version

WITHDRAWN = "withdrawn"  # said in the place of a verdict
TAKEN_BACK = "taken back by its operator"


def withdrawal(frame_id: str, operator: str) -> Mapping[str, str | bytes]:
    """The fields of a message that takes back what an operator has answered about a frame."""
    return {"frame_id": frame_id, "verdict": WITHDRAWN, "operator": operator}


def take(engine: Engine, message: Message) -> None:
    """Record what a feedback message says; what was recorded before changes nothing. Raises FeedbackRejected."""
    ledger, now_ms = engine.ledger, engine.clock_ms()
    if message.fields.get("verdict") == WITHDRAWN.encode():
        answer = parse(message, instead="good")
        head = engine.active.model.version if engine.active else None
        known = withdraw(ledger, head, answer.frame_id, answer.operator, now_ms)
    else:
        answer = parse(message)
        known = record(ledger, answer, now_ms) is None
    if known:
        ledger.event(now_ms, "feedback_again", key=answer.key)


def withdraw(ledger: Ledger, head: Version | None, name: str, operator: str, now_ms: int) -> bool:
    """Take back what an operator has answered about a frame, or about a part of one frame. Returns whether that was
    done before. Raises FeedbackRejected where there is no such answer, and where `unlearned` does."""
    frame_id = judged(ledger, name).frame_id
    given = [each for each in answers_on(ledger, frame_id) if each.operator == operator]
    if not given:
        raise FeedbackRejected(
            expected=f"a part that {operator} has answered for",
            came=f"{frame_id}, without an answer by {operator}",
            do="nothing: there is none to take back",
        )
    mine = unlearned(ledger, head, frame_id, operator)
    if mine:
        ledger.revoke(tuple(answer.id for answer in mine), now_ms, operator, TAKEN_BACK)
    return not mine


def unlearned(ledger: Ledger, head: Version | None, frame_id: str, operator: str) -> list[RecordedAnswer]:
    """An operator's answers about a frame that are recorded and not revoked, oldest first. Raises FeedbackRejected
    where the version that judges has learned from one: then an engineer revokes it, and the version is rebuilt without
    it."""
    given = [each for each in answers_on(ledger, frame_id) if each.operator == operator and each.revoked_by is None]
    mine = [each for each in given if each.effect is not Effect.CHECK]  # who was checked cannot undo that
    taught = [each for each in mine if each.effect not in {Effect.LATE, Effect.UNCONFIRMED}]
    if head is not None and taught and taught[0].id <= head.feedback_through:
        raise FeedbackRejected(
            expected="an answer that nothing was learned from yet",
            came=f"{frame_id}, which version {learned_in(ledger, taught[0].id) or head.number} has learned from",
            do=f"answer again to correct it, or let an engineer take it back: `driftline revoke {frame_id}`",
        )
    return mine
