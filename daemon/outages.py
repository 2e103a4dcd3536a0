"""What the service needs and may lose, each on a clock of its own: Redis, the disk, the camera."""

from __future__ import annotations

BACKOFF_FIRST_S = 0.1
BACKOFF_LAST_S = 5.0


class Resource:
    """One thing that may be away. Each try that fails lets the next come a little later, up to `BACKOFF_LAST_S`; times
    are seconds of any clock that never falls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.trouble: str | None = None
        self.wait_s = BACKOFF_FIRST_S
        self._again_s = 0.0

    def due(self, now_s: float) -> bool:
        """Whether it may be tried."""
        return now_s >= self._again_s

    def lost(self, error: str, now_s: float) -> bool:
        """It does not answer; returns whether that is news."""
        news, self.trouble = self.trouble is None, error
        self.wait_s = min(self.wait_s * 2, BACKOFF_LAST_S)
        self._again_s = now_s + self.wait_s
        return news

    def regained(self) -> bool:
        """It answers; returns whether that is news."""
        news, self.trouble = self.trouble is not None, None
        self.wait_s, self._again_s = BACKOFF_FIRST_S, 0.0
        return news
