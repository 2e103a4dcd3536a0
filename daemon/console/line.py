"""One line as the console's process reaches it: its settings, its state folder, its streams, and the newest version."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from daemon.console.engines import Engines
from daemon.learning import publish
from daemon.ledger.state import State
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.version import Model, Version


@dataclass
class LineView:
    """What every part of the console is handed. Safe to use from several threads."""

    settings: Settings
    state: State
    streams: RedisStreams
    engines: Engines
    _reading: threading.RLock = field(default_factory=threading.RLock, init=False)
    _looked: int = field(default=0, init=False)
    _head: Version | None = field(default=None, init=False)
    _model: Model | None = field(default=None, init=False)

    def head(self) -> Version | None:
        """The version that judges; None before anything was taught. To see that it is intact all of it is read, and
        pages ask again and again, so that is done once for each new version."""
        with self._reading:
            newest = self.state.store.newest_number()
            if newest != self._looked:
                self._head, self._looked = self.state.store.head(), newest
            return self._head

    def model(self) -> Model:
        """The version that judges, with its contents. Raises StoreError before anything was taught."""
        with self._reading:
            head = self.head()
            if head is None or self._model is None or self._model.version.sha256 != head.sha256:
                self._model = publish.current(self.state.store)
            return self._model
