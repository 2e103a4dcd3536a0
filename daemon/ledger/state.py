"""The state folder of a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.ledger.kept import KeptFrames
from daemon.ledger.ledger import Ledger
from memory.store import Store


@dataclass(frozen=True)
class State:
    """A line's state on disk: its versions, its ledger and its kept frames."""

    store: Store
    ledger: Ledger
    kept: KeptFrames


def open_state(root: Path) -> State:
    """Open or create the state folder `root`. Raises StoreError, sqlite3.OperationalError or OSError where the disk
    refuses."""
    return State(Store(root / "store"), Ledger(root / "ledger.sqlite"), KeptFrames(root / "frames"))
