"""How fast frames are judged, and which are not because they come faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial

import structlog

from daemon.intake.onto_canvas import Decoded
from daemon.intake.sources import Frame
from daemon.intake.waiting import Waits
from daemon.ledger.ledger import Ledger
from daemon.settings.models import PolicySettings
from policies.overload import Load, Overload, left_out

NEWS = 0.1  # how much one frame changes the mean time
OVER_S = 60.0
log = structlog.get_logger()


class Pace:
    """The time that judging takes, as a moving mean, and the number of frames `left_out` since the start."""

    def __init__(self) -> None:
        self.left_out = 0
        self._judge_ms = 0.0
        self._told = 0  # of how many frames left out the last round knew
        self._last_s = 0.0
        self._began: int | None = None  # how many were, when the overload under way began

    def took(self, judge_ms: float) -> None:
        """A frame was judged in this time."""
        self._judge_ms += (judge_ms - self._judge_ms) * (NEWS if self._judge_ms else 1.0)

    def leaves_out(self, frame: Frame, number: Callable[[], int], now_ms: int, policy: PolicySettings) -> str | None:
        """Why the frame with this number is not judged (`policies.overload`); None: it is. Imported ones are, and all
        of a line that may take its time, whose ledger is not asked for the number."""
        why = self._late(frame, number, now_ms, policy)
        self.left_out += why is not None
        return why

    def in_time(
        self, following: Iterable[Waits], number: Callable[[], int], now_ms: int, policy: PolicySettings
    ) -> Iterator[Future[Decoded]]:
        """The images of the frames that follow, up to the first that has none or would be left out even now."""
        for later, (frame, image) in enumerate(following, start=1):
            if image is None or self._late(frame, partial(_after, number, later), now_ms, policy):
                return
            yield image

    def _late(self, frame: Frame, number: Callable[[], int], now_ms: int, policy: PolicySettings) -> str | None:
        if frame.imported or (policy.deadline_ms is None and policy.overload is not Overload.NEWEST):
            return None
        load = Load(number(), now_ms - frame.sent_ms, frame.behind, self._judge_ms)
        return left_out(policy.overload, load, policy.deadline_ms)

    def tell(self, ledger: Ledger, now_ms: int, now_s: float) -> None:
        """Record, after a round of frames, that frames began to be left out, or that for a minute none was; `now_s` by
        the monotonic clock."""
        before, self._told = self._told, self.left_out
        if self.left_out > before:
            self._last_s = now_s
        if self.left_out > before and self._began is None:
            self._began = before
            log.warning("frames come faster than they are judged", do="see policy.overload, or judge less finely")
            ledger.event(now_ms, "overload")
        elif self._began is not None and now_s > self._last_s + OVER_S:
            ledger.event(now_ms, "overload_over", left_out=self.left_out - self._began)
            self._began = None


def _after(number: Callable[[], int], later: int) -> int:
    """The number of the frame that comes so much `later`."""
    return number() + later
