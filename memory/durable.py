"""Durable file writes, safe against a power cut; and disk errors as StoreError."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from memory.errors import StoreError


def write_draft(target: Path, data: bytes) -> Path:
    """Write `data` durably beside `target`, under a name that no other writer uses. Raises OSError, and leaves
    nothing."""
    path = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with path.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def sync(place: Path) -> None:
    """Make a file's bytes durable, or a folder's entries, as POSIX asks after a rename or link. Raises OSError."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def disk(place: Path) -> Iterator[None]:
    """A context that turns OSError into StoreError, which names the place and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise StoreError(
            expected=f"to read and write {place}",
            came=str(error),
            do="free disk space; nothing was changed" if full else "check the disk and the folder's owner",
        ) from error
