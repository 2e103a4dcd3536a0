"""The console's view of a line: its settings, state folder, streams and newest version."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from daemon.console.engines import Engines
from daemon.ledger.state import State
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.version import Model, Version


@dataclass
class LineView:
    """A line as every part of the console uses it. Safe to use from several threads."""

    settings: Settings
    state: State
    streams: RedisStreams
    engines: Engines
    _reading: threading.RLock = field(default_factory=threading.RLock, init=False)
    _checked: int = field(default=0, init=False)
    _head: Version | None = field(default=None, init=False)
    _model: Model | None = field(default=None, init=False)

    def head(self) -> Version | None:
        """The version that judges; None before anything was taught. That it is intact is checked by its sums, once for
        each new version, since pages ask again and again."""
        with self._reading:
            newest = self.state.store.newest_number()
            if newest != self._checked:
                self._head, self._checked = self.state.store.head(by_sums=True), newest
            return self._head

    def model(self) -> Model:
        """The version that judges, with its snapshot. Raises StoreError before anything was taught."""
        with self._reading:
            head = self.head()
            if head is None or self._model is None or self._model.version.sha256 != head.sha256:
                self._model = self.state.store.current()
            return self._model
