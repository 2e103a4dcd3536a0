"""Frames from image files that appear in a folder."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path

from daemon.intake.decode import SUFFIXES, ImageRejected, path_text, read_allowed
from daemon.intake.sources import MAX_STEM_CHARS, Frame
from daemon.settings.load import Settings
from daemon.streams import RedisStreams

FOLDER_BATCH = 8
FOLDER_POLL_S = 0.05


class WatchedFolder:
    """Image files that appear in a folder, oldest first; once judged they move to its subfolder `judged`.

    The frame id is the file's name and modification time, so a camera may use its names again.
    """

    def __init__(self, folder: Path, settle_ms: int, max_bytes: int) -> None:
        self.trouble: str | None = None
        self._folder = folder
        self._settle_ms = settle_ms
        self._max_bytes = max_bytes
        (folder / "judged").mkdir(parents=True, exist_ok=True)

    def read(self, block_ms: int) -> list[Frame]:
        """Up to one batch of the files that have settled: unchanged for `settle_ms`."""
        until = time.monotonic() + block_ms / 1000
        while not (files := self._settled()) and time.monotonic() < until:
            time.sleep(FOLDER_POLL_S)
        return [self._frame(path, modified_ns) for modified_ns, path in files[:FOLDER_BATCH]]

    def acknowledge(self, frame: Frame) -> None:
        """Move the file aside; a file that vanished meanwhile is no error."""
        path = frame.receipt
        assert isinstance(path, Path)  # noqa: S101  # made in _frame
        if path.exists():
            # Shortened: with the time before it, a long name would exceed what file systems allow.
            path.replace(self._folder / "judged" / f"{frame.sent_ms}.{path.stem[-MAX_STEM_CHARS:]}{path.suffix}")

    def tidy(self, keep: int) -> None:
        """Delete judged files beyond the newest `keep`: Driftline has its own copies, by its retention settings."""
        judged = sorted((self._folder / "judged").iterdir(), key=lambda path: path.name.split(".")[0].zfill(20))
        for path in judged[: max(len(judged) - keep, 0)]:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Does nothing: a folder is not held open."""

    def _settled(self) -> list[tuple[int, Path]]:
        limit_ns = time.time_ns() - self._settle_ms * 1_000_000
        settled = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another program may take a file away at any time
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    stat = path.stat()
                    # A copy may carry an old modification time while it is still being written.
                    if max(stat.st_mtime_ns, stat.st_ctime_ns) <= limit_ns:
                        settled.append((stat.st_mtime_ns, path))
        return sorted(settled)

    def _frame(self, path: Path, modified_ns: int) -> Frame:
        name = path_text(Path(path.name))
        frame = Frame(f"{modified_ns}@{name}", Path(name).stem, "folder", modified_ns // 1_000_000, None, receipt=path)
        try:
            return replace(frame, data=read_allowed(path, (self._folder,), self._max_bytes))
        except ImageRejected as error:
            return replace(frame, problem=str(error))


def open_source(settings: Settings, _: RedisStreams) -> WatchedFolder:
    """The watched folder."""
    return WatchedFolder(settings.source.folder, settings.source.settle_ms, settings.source.max_bytes)
