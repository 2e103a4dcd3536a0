"""Uploads of images to be taught: a new folder for each batch, with file names of our own."""

from __future__ import annotations

import re
import shutil
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

from daemon.intake.decode import SUFFIXES, read
from daemon.settings.models import SourceSettings
from memory.errors import DriftlineError

MOST_IMAGES = 10_000
SPARE_BYTES = 2_000_000_000
LOOKED_PX = 64
MAX_STEM_CHARS = 60


class UploadRefused(DriftlineError):
    """There are too many images already, or the disk is nearly full."""


class Superseded(DriftlineError):
    """Another batch was begun since."""


class Uploads:
    """The images of the current batch. Those of earlier batches stay on disk, since versions may have been taught from
    them."""

    def __init__(self, root: Path, source: SourceSettings) -> None:
        self._root = root
        self._source = source
        self._batch = ""
        self._paths: list[Path] = []
        self._folder: Path | None = None
        self._adding = threading.Lock()

    @property
    def begun(self) -> bool:
        """Whether images of a batch are here."""
        return bool(self._paths)

    def begin(self) -> str:
        """Begin a new batch and return its id, with which its images are sent; the batch before can no longer be
        taught."""
        with self._adding:
            self._batch, self._paths, self._folder = uuid.uuid4().hex, [], None
            return self._batch

    def add(self, batch: str, name: str, data: bytes) -> Path:
        """Keep an image. Of its `name` only letters, digits, dots and dashes are used, behind a number of ours.

        Raises ImageRejected for what is no image, UploadRefused for one too many or a disk that is nearly full,
        Superseded where another batch was begun since.
        """
        with self._adding:
            self._require_current(batch)
        read(data, self._source.max_pixels, (LOOKED_PX, LOOKED_PX), self._source.page)
        with self._adding:
            self._require_current(batch)  # another batch may have begun meanwhile
            if len(self._paths) >= MOST_IMAGES:
                raise _refused(f"at most {MOST_IMAGES:,} images", "one more", "use `driftline teach DIR`")
            folder = self._folder or self._new_folder()
            free = shutil.disk_usage(folder).free
            if free < SPARE_BYTES + len(data):
                raise _refused(f"{SPARE_BYTES / 1e9:.0f} GB of free disk", f"{free / 1e9:.1f} GB", "make room first")
            plain = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem)[-MAX_STEM_CHARS:]
            suffix = Path(name).suffix.lower()
            path = folder / f"{len(self._paths):05d}-{plain}{suffix if suffix in SUFFIXES else '.image'}"
            path.write_bytes(data)
            self._paths.append(path)
            return path

    def paths(self, batch: str) -> list[Path]:
        """The images of a batch. Raises Superseded."""
        with self._adding:
            self._require_current(batch)
            return list(self._paths)

    def _require_current(self, batch: str) -> None:
        if not self._batch:
            raise Superseded(
                expected="a folder that was sent lately",
                came="none: the console was started anew since, or nobody has worked at it for long",
                do="send the folder again",
            )
        if batch != self._batch:
            raise Superseded(
                expected="the folder that was begun last",
                came="another one: somebody has begun to send a folder since",
                do="agree whose folder is to be taught, and send that one again",
            )

    def _new_folder(self) -> Path:
        self._folder = self._root / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        self._folder.mkdir(parents=True)
        return self._folder


def _refused(expected: str, came: str, do: str) -> UploadRefused:
    return UploadRefused(expected=expected, came=came, do=do)
