"""A backup of a line's state folder, taken while its service runs, and its way back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.ledger.database import copy_database
from memory.durable import sync
from memory.errors import DriftlineError
from memory.store import Store
from memory.version import Version

LEDGER, STORE = "ledger.sqlite", "store"
COPIED_AS_THEY_ARE = ("frames", "plant")  # files that never change, or of which any state will do


class BackupRefused(DriftlineError):
    """A backup that cannot be made or restored."""


def back_up(state_dir: Path, out: Path) -> Version | None:
    """Copy the state folder to `out`, which must not exist; returns the head of the copy.

    Consistent though the service goes on: the ledger is copied first, at one moment, then the versions that it knows;
    a lesson that comes meanwhile is in neither, so its answers are learned after a restoration. Images that retention
    deletes meanwhile are left out. `out` exists once all of it is there. Raises BackupRefused, OSError where the disk
    refuses.
    """
    if not (state_dir / LEDGER).exists():
        raise BackupRefused(expected="the state folder of a line", came=str(state_dir), do="name it by state_dir")
    if not any(Store(state_dir / STORE).history()):
        raise BackupRefused(
            expected="a line that was taught", came=f"no version in {state_dir}", do="see whether state_dir is right"
        )
    with _made_whole(out) as draft:
        through = copy_database(state_dir / LEDGER, draft / LEDGER)
        Store(state_dir / STORE).copy_to(draft / STORE, through)
        for name in COPIED_AS_THEY_ARE:
            _copy_what_is_there(state_dir / name, draft / name)
        return _checked(draft)


def restore(backup: Path, state_dir: Path) -> Version | None:
    """Copy a backup to `state_dir`, which must not exist; returns its head. `state_dir` exists once all of it
    is there. Raises BackupRefused, OSError where the disk refuses."""
    if not (backup / LEDGER).exists():
        raise BackupRefused(
            expected="a folder that `driftline backup` made", came=str(backup), do="name the backup's folder"
        )
    with _made_whole(state_dir) as draft:
        _copy_what_is_there(backup, draft)
        return _checked(draft)


@contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` at the end; nothing is left of it where that fails."""
    target = target.resolve()
    if target.exists():
        raise BackupRefused(
            expected="a folder that is not there yet", came=f"{target}", do="name another, or move this one away"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield draft
        for folder, _, names in os.walk(draft):
            for name in names:
                with (Path(folder) / name).open("rb") as copied:
                    os.fsync(copied.fileno())
            sync(Path(folder))
        draft.replace(target)
        sync(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _copy_what_is_there(source: Path, target: Path) -> None:
    """Copy a folder's finished files; those that vanish meanwhile are left out."""
    for folder, _, names in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not name.endswith(".tmp") and name != "lock":
                try:
                    shutil.copy2(Path(folder) / name, into / name)
                except FileNotFoundError:
                    continue


def _checked(state_dir: Path) -> Version | None:
    """The head of a copied state, whose sums are right. Raises BackupRefused where its newest version is damaged."""
    store = Store(state_dir / STORE)
    damaged = store.damaged()
    if damaged:
        raise BackupRefused(
            expected="intact versions", came=damaged[0], do="roll the line back to an intact version first"
        )
    return store.head()
