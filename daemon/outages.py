"""Back-off for resources that the service may lose, each on its own: Redis, the disk, the camera."""

from __future__ import annotations

BACKOFF_FIRST_S = 0.1
BACKOFF_LAST_S = 5.0


class Resource:
    """A resource that may be away. After each failed try the next one waits longer, up to `BACKOFF_LAST_S`; times are
    seconds of a monotonic clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.trouble: str | None = None
        self.wait_s = BACKOFF_FIRST_S
        self._again_s = 0.0

    def due(self, now_s: float) -> bool:
        """Whether the resource may be tried now."""
        return now_s >= self._again_s

    def lost(self, error: str, now_s: float) -> bool:
        """Record that it does not answer. Returns whether it did before."""
        news, self.trouble = self.trouble is None, error
        self.wait_s = min(self.wait_s * 2, BACKOFF_LAST_S)
        self._again_s = now_s + self.wait_s
        return news

    def regained(self) -> bool:
        """Record that it answers. Returns whether it did not before."""
        news, self.trouble = self.trouble is not None, None
        self.wait_s, self._again_s = BACKOFF_FIRST_S, 0.0
        return news
