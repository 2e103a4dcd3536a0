"""Images that a browser sends to be taught: in a folder of their own for each time, by names that we give them."""

from __future__ import annotations

import re
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

from daemon.frames import SUFFIXES, pictured
from memory.errors import DriftlineError

MOST_IMAGES = 10_000
SPARE_BYTES = 2_000_000_000
LOOKED_PX = 64
MAX_STEM_CHARS = 60


class UploadRefused(DriftlineError):
    """An upload would be one too many, or fill the disk."""


class Uploads:
    """The images of one folder, until it begins anew. What was sent before stays on disk, as it was taught from."""

    def __init__(self, root: Path, max_pixels: int) -> None:
        self._root = root
        self._max_pixels = max_pixels
        self._held: list[Path] = []
        self._folder: Path | None = None
        self._adding = threading.Lock()

    def begin(self) -> None:
        """Forget what was sent so far."""
        with self._adding:
            self._held, self._folder = [], None

    def add(self, name: str, data: bytes) -> Path:
        """Keep an image. Of its `name` only letters, digits, dots and dashes are used, behind a number of ours.

        Raises ImageRejected for what is no image, UploadRefused for one too many or a disk that is nearly full.
        """
        pictured(data, LOOKED_PX, self._max_pixels)
        with self._adding:
            if len(self._held) >= MOST_IMAGES:
                raise _refused(f"at most {MOST_IMAGES:,} images", "one more", "use `driftline teach DIR`")
            folder = self._folder or self._made()
            free = shutil.disk_usage(folder).free
            if free < SPARE_BYTES + len(data):
                raise _refused(f"{SPARE_BYTES / 1e9:.0f} GB of free disk", f"{free / 1e9:.1f} GB", "make room first")
            plain = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem)[-MAX_STEM_CHARS:]
            suffix = Path(name).suffix.lower()
            path = folder / f"{len(self._held):05d}-{plain}{suffix if suffix in SUFFIXES else '.image'}"
            path.write_bytes(data)
            self._held.append(path)
            return path

    def paths(self) -> list[Path]:
        """What was sent since it began."""
        return list(self._held)

    def _made(self) -> Path:
        self._folder = self._root / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        self._folder.mkdir(parents=True)
        return self._folder


def _refused(expected: str, came: str, do: str) -> UploadRefused:
    return UploadRefused(expected=expected, came=came, do=do)
