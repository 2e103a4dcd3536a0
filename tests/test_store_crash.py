"""A crash or a full disk at every step of `Store.commit` leaves the old head or the new one, whole."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from versions import commit, contents

from memory.errors import StoreError
from memory.store import Store

# Everything, beside the writing of files, through which a commit reaches the disk.
CALLS = ("fsync", "link", "replace", "unlink", "utime", "open")


class Steps:
    """Counts the steps of a commit on the disk, and lets one of them go wrong."""

    def __init__(self, fails_on: int | None, wrong: Any) -> None:
        self.count = 0
        self.fails_on = fails_on
        self.wrong = wrong

    def __call__(self, real: Any, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        if self.count == self.fails_on:
            self.wrong(real, *args, **kwargs)
        return real(*args, **kwargs)


def rig(patch: pytest.MonkeyPatch, steps: Steps) -> None:
    """Route every disk call of a commit through `steps`, opening and writing of files included."""
    for name in CALLS:
        real = getattr(os, name)
        patch.setattr(os, name, lambda *a, real=real, **k: steps(real, *a, **k))
    opened = Path.open

    def open_counted(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "w" not in mode:
            return opened(path, mode, *args, **kwargs)
        return Written(steps(opened, path, mode, *args, **kwargs), steps)

    patch.setattr(Path, "open", open_counted)


class Written:
    """A file whose writes are steps; half of the data is written before one goes wrong."""

    def __init__(self, file: Any, steps: Steps) -> None:
        self.file = file
        self.steps = steps

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.steps(self.file.write, data[len(data) // 2 :])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def die(*_args: object, **_kwargs: object) -> None:
    os._exit(137)


def full(*_args: object, **_kwargs: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def count_steps(folder: Path) -> int:
    """How many steps the second commit of a store takes."""
    store = Store(folder)
    first = commit(store, contents(1))
    with pytest.MonkeyPatch.context() as patch:
        steps = Steps(None, None)
        rig(patch, steps)
        commit(store, contents(2), first)
    return steps.count


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_killed_at_any_step(tmp_path: Path) -> None:
    steps = count_steps(tmp_path / "count")
    assert steps > 15
    survivors = set()
    for step in range(1, steps + 1):
        folder = tmp_path / f"step{step}"
        first = commit(Store(folder), contents(1))
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                rig(patch, Steps(step, die))
                commit(Store(folder), contents(2), first)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 137, f"step {step} of {steps} was never reached"
        store = Store(folder)
        head = store.head()
        assert head is not None
        store.load(head)
        assert store.damaged() == []
        survivors.add(head.number)
        after = commit(store, contents(3), head)
        assert store.head() == after, f"after a crash at step {step} the next commit works"
    assert survivors == {1, 2}


def test_full_disk_at_any_step(tmp_path: Path) -> None:
    steps = count_steps(tmp_path / "count")
    for step in range(1, steps + 1):
        store = Store(tmp_path / f"step{step}")
        first = commit(store, contents(1))
        with pytest.MonkeyPatch.context() as patch:
            rig(patch, Steps(step, full))
            with pytest.raises(StoreError, match="free disk space"):
                commit(store, contents(2), first)
        head = store.head()
        assert head is not None
        store.load(head)
        assert commit(store, contents(3), head) == store.head()


def test_a_disk_that_cannot_be_read_is_no_reason_to_fall_back_to_an_older_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    commit(store, contents(2), commit(store, contents(1)))
    with pytest.MonkeyPatch.context() as patch:

        def broken(_path: Path) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        patch.setattr(Path, "read_bytes", broken)
        with pytest.raises(StoreError, match="Input/output error"):
            store.head()
