"""How fast frames are judged, and which are not because they come faster."""

from __future__ import annotations

from daemon.intake.sources import Frame
from daemon.settings.models import PolicySettings
from policies.overload import Load, left_out

NEWS = 0.1  # how much one frame changes the mean time


class Pace:
    """The time that judging takes, as a moving mean, and the number of frames `left_out` since the start."""

    def __init__(self) -> None:
        self.left_out = 0
        self._judge_ms = 0.0

    def took(self, judge_ms: float) -> None:
        """A frame was judged in this time."""
        self._judge_ms += (judge_ms - self._judge_ms) * (NEWS if self._judge_ms else 1.0)

    def leaves_out(self, frame: Frame, number: int, now_ms: int, policy: PolicySettings) -> str | None:
        """Why the frame with this number is not judged (`policies.overload`); None: it is. Imported ones are."""
        if frame.imported:
            return None
        load = Load(number, now_ms - frame.sent_ms, frame.behind, self._judge_ms)
        why = left_out(policy.overload, load, policy.deadline_ms)
        self.left_out += why is not None
        return why
