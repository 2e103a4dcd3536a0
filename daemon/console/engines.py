"""The console's own backbone and engines, which do not disturb the service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.inference.engine import Engine

if TYPE_CHECKING:
    from memory.extract import Extractor  # for its type alone


class Engines:
    """Makes engines over one backbone, which is loaded when it is first needed.

    `load` gives the backbone, `live` an engine on the configured backend, and `reference` one on the reference backend,
    for learning and comparisons.
    """

    def __init__(
        self,
        load: Callable[[], Extractor],
        live: Callable[[Extractor], Engine],
        reference: Callable[[Extractor], Engine],
    ) -> None:
        self._load = load
        self._live = live
        self._reference = reference
        self._backbone: Extractor | None = None
        self._loading = threading.Lock()

    def backbone(self) -> Extractor:
        """The backbone, loaded at the first call; callers wait meanwhile."""
        with self._loading:
            if self._backbone is None:
                self._backbone = self._load()
            return self._backbone

    def live(self) -> Engine:
        """A new engine that judges as the service does; no version is active yet."""
        return self._live(self.backbone())

    def reference(self) -> Engine:
        """A new engine on the reference backend; no version is active yet."""
        return self._reference(self.backbone())
