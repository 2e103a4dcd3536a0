"""Reviews: judged frames, why they were judged so, and people's answers about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from daemon import clock
from daemon.console.checks import Checks
from daemon.console.line import LineView
from daemon.languages.speaking import said
from daemon.learning import answers, feedback
from daemon.learning.reliability import distrusted
from daemon.ledger import provenance, review_queue
from daemon.ledger.answers import answers_on, is_recorded
from daemon.ledger.frame_list import ListedFrame
from daemon.streams import Stream
from memory.errors import DriftlineError


class AlreadyAnswered(DriftlineError):
    """Somebody else has answered about this part: nothing was sent."""


@dataclass(frozen=True)
class Reviews:
    """The judged frames of one line, and those of them that people are asked about."""

    line: LineView
    checks: Checks

    def queue(self, limit: int, operator: str | None) -> list[dict[str, Any]]:
        """Parts that people are asked about, the most urgent first. Where one is due, a known part is among them: how
        an operator answers about it tells how far the other answers can be trusted."""
        ledger = self.line.state.ledger
        unsure = operator if operator and distrusted(ledger, operator) else None
        asked = review_queue.open_for_review(ledger, limit, unsure)
        return [frame_fields(one) for one in (self.checks.among(asked, operator) if operator else asked)]

    def is_asked(self, frame_id: str, operator: str) -> bool:
        """Whether an operator is asked about a frame, or shown it as a known part, and has not answered yet."""
        open_one = review_queue.is_open(self.line.state.ledger, frame_id)
        answered = any(each.operator == operator for each in answers_on(self.line.state.ledger, frame_id))
        return not answered and (open_one or self.checks.shows(operator, frame_id))

    def why(self, name: str) -> list[dict[str, Any]]:
        """Why a frame, or each frame of a part, was judged so. Raises DriftlineError where there is none."""
        store, ledger = self.line.state.store, self.line.state.ledger
        return [provenance.why(store, ledger, frame) for frame in provenance.frames_of(ledger, name)]

    def answer(self, answer: answers.Answer, *, despite: bool) -> str:
        """Send an answer as every client does. Returns its entry in the stream.

        Raises FeedbackRejected for a frame that was never judged, RedisLost without Redis, and AlreadyAnswered where
        another operator's answer stands and nobody is asked for a second one, unless it is sent `despite` that; then,
        where the two differ, nothing is learned from the part until people agree. An answer about the known part that
        the operator was shown only checks the operator.
        """
        ledger = self.line.state.ledger
        answer = replace(answer, frame_id=answers.judged(ledger, answer.frame_id).frame_id)
        if not despite and self.checks.takes(answer.operator, answer.frame_id):
            return self.line.streams.send(Stream.FEEDBACK, replace(answer, check=True).fields())
        earlier = review_queue.answer_of_another(ledger, answer.frame_id, answer.operator)
        free = despite or is_recorded(ledger, answer.key) or review_queue.is_open(ledger, answer.frame_id)
        if earlier and not free:
            raise AlreadyAnswered(
                expected="a part that nobody has answered for",
                came=f"{earlier.operator} said {earlier.label} at {clock.minute(earlier.received_ms)} UTC",
                do="skip it, or send it again with despite=true if you disagree",
            )
        return self.line.streams.send(Stream.FEEDBACK, answer.fields())

    def withdraw(self, names: Sequence[str], operator: str, *, unrecorded: bool) -> list[str]:
        """Take back what an operator has answered about these frames, or parts of one frame each; the service records
        it. Returns the entries in the stream, one for each frame that they have answered for, and one for every frame
        where answers may still be `unrecorded`: the service takes the answer first, as both go the same way. Raises
        FeedbackRejected, and sends nothing, where something was learned from one of them, and RedisLost without
        Redis."""
        ledger, head = self.line.state.ledger, self.line.head()
        frames = [answers.judged(ledger, name).frame_id for name in names]
        recorded = [frame_id for frame_id in frames if feedback.unlearned(ledger, head, frame_id, operator)]
        given = frames if unrecorded else recorded
        send = self.line.streams.send
        return [send(Stream.FEEDBACK, feedback.withdrawal(frame_id, operator)) for frame_id in given]


def frame_fields(frame: ListedFrame) -> dict[str, Any]:
    """A frame as JSON, with `asked` as 0 or 1, and its words for the reader."""
    words = {"reason": said(frame.reason), "question": said(frame.question)}
    return asdict(frame) | words | {"asked": int(frame.asked)}
