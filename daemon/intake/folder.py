"""Frames from image files that appear in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from daemon.intake.decode import SUFFIXES, ImageRejected, path_text, read_allowed
from daemon.intake.raw_image import rejected
from daemon.intake.sources import MAX_STEM_CHARS, Frame
from daemon.settings.load import Settings
from daemon.streams import RedisStreams

FOLDER_BATCH = 8
FOLDER_POLL_S = 0.05
log = structlog.get_logger()


@dataclass(frozen=True)
class FileState:
    """What changes whenever a file does; a copy may carry an old `modified_ns` while it is still being written."""

    mode: int
    size: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True)
class Sighting:
    """A file's state, and since when by the monotonic clock it has been seen so."""

    state: FileState
    since_s: float


def sighted(before: Mapping[Path, Sighting], files: Mapping[Path, FileState], now_s: float) -> dict[Path, Sighting]:
    """The sightings of the files that are there now. A file that is new or has changed is sighted since now.

    No time in a file is compared with a clock: a camera whose clock is ahead is not waited for.
    """
    return {
        path: known if (known := before.get(path)) and known.state == state else Sighting(state, now_s)
        for path, state in files.items()
    }


NO_ENTRY = FileState(stat.S_IFDIR, 0, 0, 0)


def _state(path: Path) -> FileState | None:
    """The state of a file or a link, or None: another program may take it away at any time."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = path.lstat()
        return FileState(found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return None


class WatchedFolder:
    """Image files that appear in a folder or its subfolders, oldest first; once judged they move to its subfolder
    `judged`.

    The frame id is the file's modification time and its path inside the folder, so a camera may use its names again.
    Hidden folders are left out. Whatever else lies there (no image by its suffix, a link to a folder, a folder that
    cannot be read) is left alone and logged once.
    """

    def __init__(self, folder: Path, settle_ms: int, max_bytes: int) -> None:
        self.trouble: str | None = None
        (folder / "judged").mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._judged = self._folder / "judged"
        self._settle_s = settle_ms / 1000
        self._max_bytes = max_bytes
        self._sightings: dict[Path, Sighting] = {}
        self._skipped: set[Path] = set()
        self._unmoved: dict[Path, FileState] = {}

    def read(self, block_ms: int) -> list[Frame]:
        """Up to one batch of the files that have settled: unchanged for `settle_ms`. Raises OSError where the folder
        cannot be read."""
        until = time.monotonic() + block_ms / 1000
        while not (files := self._settled()) and time.monotonic() < until:
            time.sleep(FOLDER_POLL_S)
        batch = enumerate(files[:FOLDER_BATCH], 1)
        return [replace(self._frame(path, at_ns), behind=len(files) - n) for n, (at_ns, path) in batch]

    def acknowledge(self, frame: Frame) -> None:
        """Move the file aside; a file that vanished meanwhile is no error."""
        path = frame.receipt
        assert isinstance(path, Path)  # noqa: S101  # made in _frame
        if path.exists() or path.is_symlink():
            # Shortened: with the time before it, a long name would exceed what file systems allow.
            stem = "-".join(path.relative_to(self._folder).with_suffix("").parts)[-MAX_STEM_CHARS:]
            mark = hashlib.sha256(frame.frame_id.encode()).hexdigest()[:8]  # files of two folders may have one name
            try:
                # A subfolder may lie on another file system, which a rename cannot leave.
                shutil.move(path, self._judged / f"{frame.sent_ms}.{stem}.{mark}{path.suffix}")
            except PermissionError as error:
                self._unmoved[path] = self._sightings[path].state
                log.warning(
                    "judged file left in the watched folder",
                    file=path_text(path.relative_to(self._folder)),
                    error=str(error),
                    do="let the service write in its folder; it is judged again only when it changes",
                )

    def tidy(self, keep: int) -> None:
        """Delete judged files beyond the newest `keep`: Driftline has its own copies, by its retention settings."""
        judged = sorted(self._judged.iterdir(), key=lambda path: path.name.split(".")[0].zfill(20))
        for path in judged[: max(len(judged) - keep, 0)]:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Does nothing: a folder is not held open."""

    def _settled(self) -> list[tuple[int, Path]]:
        now_s = time.monotonic()
        self._sightings = sighted(self._sightings, self._files(), now_s)
        self._skipped &= self._sightings.keys()
        self._unmoved = {path: state for path, state in self._unmoved.items() if path in self._sightings}
        images = []
        for path, sighting in self._sightings.items():
            if now_s - sighting.since_s < self._settle_s or sighting.state == self._unmoved.get(path):
                continue
            if path.suffix.lower() in SUFFIXES and not stat.S_ISDIR(sighting.state.mode):
                images.append((sighting.state.modified_ns, path))
            elif path not in self._skipped:
                self._skipped.add(path)
                self._tell(path)
        return sorted(images)

    def _tell(self, path: Path) -> None:
        log.warning(
            "left in the watched folder",
            file=path_text(path.relative_to(self._folder)),
            expected=f"image files ({', '.join(sorted(SUFFIXES))}) in folders that can be read and are no links",
            do="take it away, or correct what sends it",
            files_left=len(self._skipped),
        )

    def _files(self) -> dict[Path, FileState]:
        """Every file but those of hidden folders and `judged`, and every folder that cannot be looked into."""
        paths = []

        def unreadable(error: OSError) -> None:
            if Path(error.filename) == self._folder:
                raise error
            paths.append(Path(error.filename))

        for place, folders, names in os.walk(self._folder, onerror=unreadable):
            inside = Path(place)
            paths += [inside / name for name in names]
            paths += [inside / name for name in folders if (inside / name).is_symlink()]
            folders[:] = [name for name in folders if not name.startswith(".") and inside / name != self._judged]
        return {path: state for path in paths if (state := self._looked_at(path))}

    def _looked_at(self, path: Path) -> FileState | None:
        """The state of a path; one in a subfolder that may be listed but not entered is left alone, as a folder is."""
        try:
            return _state(path)
        except OSError:
            if path.parent == self._folder:
                raise
            return NO_ENTRY

    def _frame(self, path: Path, modified_ns: int) -> Frame:
        name = path_text(path.relative_to(self._folder))
        frame = Frame(f"{modified_ns}@{name}", Path(name).stem, "folder", modified_ns // 1_000_000, None, receipt=path)
        try:
            if path.is_symlink():
                raise rejected("a file in the watched folder", f"{name}, a link", "copy or move the file itself there")
            return replace(frame, data=read_allowed(path, (self._folder,), self._max_bytes))
        except ImageRejected as error:
            return replace(frame, problem=str(error))


def open_source(settings: Settings, _: RedisStreams) -> WatchedFolder:
    """The watched folder."""
    return WatchedFolder(settings.source.folder, settings.source.settle_ms, settings.source.max_bytes)
