"""Known parts among an operator's questions, in places where they look like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from daemon.learning.reliability import due_checks
from daemon.ledger.frame_list import ListedFrame
from daemon.ledger.ledger import Ledger
from policies.verdict import Verdict

AMONG = 3  # the first so many of its kind
SEEN = 20  # questions that an operator comes to soon


@dataclass
class Checks:
    """The known part that each operator is shown now: the same one until it is answered, whatever is answered
    meanwhile, and none while the answer to the last is on its way."""

    ledger: Ledger
    every: int
    _shown: dict[str, str] = field(default_factory=dict)
    _sent: dict[str, set[str]] = field(default_factory=dict)

    def among(self, asked: Sequence[ListedFrame], operator: str) -> list[ListedFrame]:
        """The questions (what was not passed comes first) with the known part that is due, if any: it comes among the
        first that have its verdict. One of passed parts waits where those are far behind."""
        passed = next((place for place, frame in enumerate(asked) if frame.verdict is Verdict.OK), len(asked))
        known = due_checks(self.ledger, operator, self.every)
        on_its_way = self._sent.get(operator, set()) & {each.frame.frame_id for each in known}
        fitting = [each.frame for each in known if each.frame.verdict is not Verdict.OK or passed <= SEEN]
        shown = [frame for frame in fitting if frame.frame_id == self._shown.get(operator)]
        if on_its_way or not fitting:
            return list(asked)
        check = (shown or fitting)[0]
        self._shown[operator] = check.frame_id
        first, end = (passed, len(asked)) if check.verdict is Verdict.OK else (0, passed)
        place = first + check.seq % min(end - first + 1, AMONG)
        return [*asked[:place], replace(check, asked=True), *asked[place:]]

    def shows(self, operator: str, frame_id: str) -> bool:
        """Whether a frame is the known part that this operator is shown now."""
        return self._shown.get(operator) == frame_id

    def takes(self, operator: str, frame_id: str) -> bool:
        """Whether an answer is about the known part that this operator was shown; where nothing is known of that, as
        after a restart of the console, about any that could have been."""
        shown = self._shown.get(operator)
        if frame_id in self._sent.get(operator, set()):
            return True  # taken back, and said again
        due = due_checks(self.ledger, operator, self.every) if shown is None else ()
        if frame_id != shown and frame_id not in {each.frame.frame_id for each in due}:
            return False
        self._shown.pop(operator, None)
        self._sent.setdefault(operator, set()).add(frame_id)
        return True
