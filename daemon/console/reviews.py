"""Reviews: judged frames, why they were judged so, and people's answers about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from daemon import clock
from daemon.console.line import LineView
from daemon.learning import answers
from daemon.learning.reliability import distrusted, due_check
from daemon.ledger import frame_list, provenance, review_queue
from daemon.ledger.frame_list import ListedFrame
from daemon.streams import Stream
from memory.errors import DriftlineError

CHECKED_AMONG = 3


class AlreadyAnswered(DriftlineError):
    """Somebody else has answered about this part: nothing was sent."""


@dataclass(frozen=True)
class Reviews:
    """The judged frames of one line, and those of them that people are asked about."""

    line: LineView

    def frames(self, before: int | None, verdict: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest judged frames, newest first, of those `before` a sequence number."""
        return [frame_fields(one) for one in frame_list.frames_before(self.line.state.ledger, before, verdict, limit)]

    def queue(self, limit: int, operator: str | None) -> list[dict[str, Any]]:
        """Parts that people are asked about, the most urgent first. Where one is due, a known part is among the first:
        how an operator answers about it tells how far the other answers can be trusted."""
        ledger = self.line.state.ledger
        unsure = operator if operator and distrusted(ledger, operator) else None
        asked = review_queue.open_for_review(ledger, limit, unsure)
        check = self._check(operator) if operator and asked else None
        if check:
            asked.insert(check.seq % min(len(asked), CHECKED_AMONG), check)
        return [frame_fields(one) for one in asked]

    def why(self, name: str) -> list[dict[str, Any]]:
        """Why a frame, or each frame of a part, was judged so. Raises DriftlineError where there is none."""
        store, ledger = self.line.state.store, self.line.state.ledger
        return [provenance.why(store, ledger, frame) for frame in provenance.frames_of(ledger, name)]

    def answer(self, answer: answers.Answer, *, despite: bool) -> str:
        """Send an answer as every client does. Returns its entry in the stream.

        Raises FeedbackRejected for a frame that was never judged, RedisLost without Redis, and AlreadyAnswered where
        another operator's answer stands, unless it is sent `despite` that; then, where the two differ, nothing is
        learned from the part until people agree. An answer about the known part that is due only checks its operator.
        """
        answers.judged(self.line.state.ledger, answer.frame_id)
        check = None if despite else self._check(answer.operator)
        if check and check.frame_id == answer.frame_id:
            return self.line.streams.send(Stream.FEEDBACK, replace(answer, check=True).fields())
        earlier = review_queue.answer_of_another(self.line.state.ledger, answer.frame_id, answer.operator)
        if earlier and not despite:
            raise AlreadyAnswered(
                expected="a part that nobody has answered for",
                came=f"{earlier.operator} said {earlier.label} at {clock.iso(earlier.received_ms)}",
                do="skip it, or send it again with despite=true if you disagree",
            )
        return self.line.streams.send(Stream.FEEDBACK, answer.fields())

    def _check(self, operator: str) -> ListedFrame | None:
        return due_check(self.line.state.ledger, operator, self.line.settings.policy.known_part_every)


def frame_fields(frame: ListedFrame) -> dict[str, Any]:
    """A frame as JSON, with `asked` as 0 or 1."""
    return asdict(frame) | {"asked": int(frame.asked)}
