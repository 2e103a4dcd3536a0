"""Images that cannot be judged: the same one again and again, and several in a row."""

from __future__ import annotations

from daemon.intake.raw_image import ImageRejected
from daemon.intake.sources import Frame
from daemon.ledger.frames import image_repeats
from daemon.ledger.ledger import Ledger

REPEATED = 3  # images in a row that are the same to the bit
BLIND = 3  # images in a row that could not be judged: the camera is in trouble
TROUBLE_S = 60.0


def refuse_repeated(ledger: Ledger, frame: Frame) -> None:
    """Raises ImageRejected for an image that the line gives the third time in a row."""
    sha256 = frame.image_sha256
    may_repeat = frame.imported or frame.may_repeat
    if sha256 and not may_repeat and image_repeats(ledger, sha256, REPEATED):
        again = f"the very same one, {REPEATED} times or more"
        raise ImageRejected(expected="another image", came=again, do="look whether the camera hangs")


class Unseen:
    """The images in a row that could not be judged: damaged, repeated, one grey all over.

    From the third on the camera is in `trouble`, until an image is judged, or for a minute after the last one: who
    waits for a ready line before the next part is sent must not wait for ever.
    """

    def __init__(self) -> None:
        self._in_a_row = 0
        self._why = ""
        self._last_s = 0.0

    def judged(self) -> None:
        """An image was judged."""
        self._in_a_row = 0

    def refused(self, why: str, now_s: float) -> None:
        """An image was not; `now_s` by the monotonic clock."""
        self._in_a_row, self._why, self._last_s = self._in_a_row + 1, why, now_s

    def trouble(self, now_s: float) -> str | None:
        """What is wrong with the camera's images, None where nothing is known to be."""
        if self._in_a_row < BLIND or now_s > self._last_s + TROUBLE_S:
            return None
        return f"{self._in_a_row} images in a row could not be judged; of the last one: {self._why}"
