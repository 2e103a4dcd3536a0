"""Kept images: the folder of kept frames, and the image behind a sample as the backbone saw it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.intake.decode import ImageRejected
from daemon.intake.onto_canvas import onto_canvas
from daemon.intake.positioning import positioned
from daemon.ledger.ledger import Ledger
from daemon.ledger.packed import packed, unpacked
from daemon.ledger.records import JudgedFrame
from daemon.settings.models import SourceSettings
from drift.light import compensate, painted
from drift.placement import Placement, PlacementTemplate
from drift.signals import Vector
from memory.features import Image
from memory.geometry import Geometry

IMAGE, PACKED, MAP = ".image", ".packed", ".npy"


class KeptFrames:
    """The kept frames' folder: the camera's own bytes, packed where that saves room, and, beside them, the anomaly map
    as float16 npy.

    File names are made from the SHA-256 of the frame id, so no id can name a path outside.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def keep(self, frame_id: str, data: bytes, anomaly: npt.NDArray[np.float32] | None, durable: bool) -> str:
        """Write a frame and return its name here; `durable` waits for the disk."""
        name = self.name(frame_id)
        target = self._root / name[:2] / name
        target.parent.mkdir(exist_ok=True)
        smaller = packed(data)
        suffix, other, held = (IMAGE, PACKED, data) if smaller is None else (PACKED, IMAGE, smaller)
        _write(target.with_suffix(suffix), lambda path: path.write_bytes(held), durable=durable)
        target.with_suffix(other).unlink(missing_ok=True)  # of a part that was taught before by this name
        if anomaly is not None:
            map16 = anomaly.astype(np.float16)
            _write(target.with_suffix(MAP), lambda path: _save(path, map16), durable=durable)
        return name

    @staticmethod
    def name(frame_id: str) -> str:
        """A frame's name here."""
        return hashlib.sha256(frame_id.encode()).hexdigest()[:32]

    def image(self, name: str) -> bytes | None:
        """The kept bytes; None once retention has removed them, or where their packed file is damaged."""
        with contextlib.suppress(FileNotFoundError):
            return self._path(name, IMAGE).read_bytes()
        with contextlib.suppress(FileNotFoundError):
            return unpacked(self._path(name, PACKED).read_bytes())
        return None

    def anomaly(self, name: str) -> npt.NDArray[np.float32] | None:
        """The kept anomaly map (rows, columns), or None."""
        path = self._path(name, MAP)
        if not path.exists():
            return None
        kept: npt.NDArray[np.float32] = np.load(path, allow_pickle=False).astype(np.float32)
        return kept

    def drop(self, name: str) -> None:
        """Remove a kept frame; removing it twice is no error."""
        for suffix in (IMAGE, PACKED, MAP):
            self._path(name, suffix).unlink(missing_ok=True)

    def bytes_of(self, name: str) -> int:
        """The room that a kept frame takes; 0 where it is gone."""
        return sum(_size(self._path(name, suffix)) for suffix in (IMAGE, PACKED, MAP))

    def total_bytes(self) -> int:
        """The room that all kept frames take, taught parts among them."""
        total = 0
        for folder in self._root.glob("[0-9a-f][0-9a-f]"):
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat().st_size
        return total

    def _path(self, name: str, suffix: str) -> Path:
        return (self._root / name[:2] / name).with_suffix(suffix)


@dataclass(frozen=True)
class Pictures:
    """The images of frames and samples on the canvas of a version, as it scores them: placed by its `template`, their
    light divided out, painted over outside its region; those of taught parts by `keep_taught`."""

    ledger: Ledger
    kept: KeptFrames
    geometry: Geometry
    source: SourceSettings
    template: PlacementTemplate | None = None

    def of(self, frame: JudgedFrame, gain: Vector) -> tuple[Image, Placement | None] | None:
        """The image of a judged frame, compensated by a gain by channel (3,), and how its part lay; None where it is
        gone or was altered."""
        data = self.kept.image(frame.kept) if frame.kept else None
        if data is None or hashlib.sha256(data).hexdigest() != frame.image_sha256:
            return None
        seen = self._decoded(data)
        return None if seen is None else (compensate(seen[0], gain, self.geometry.inside()), seen[1])

    def sample(self, name: str) -> Image | None:
        """The image of a taught part, or of a frame that was learned, as it was scored; None where it is gone or
        damaged."""
        frame = self.ledger.frame(name)
        if frame is not None:
            seen = self.of(frame, frame.scene.gain)
            return None if seen is None else seen[0]
        data = self.kept.image(KeptFrames.name(_taught(name)))
        seen = self._decoded(data) if data else None
        return None if seen is None else painted(seen[0], self.geometry.inside())

    def _decoded(self, data: bytes) -> tuple[Image, Placement | None] | None:
        try:
            return positioned(onto_canvas(data, self.geometry.forgiving, self.source), self.template)
        except ImageRejected:
            return None


def keep_taught(kept: KeptFrames, name: str, data: bytes) -> None:
    """Keep a taught part's image file, since its folder may be gone when the image is needed again."""
    kept.keep(_taught(name), data, None, durable=True)


def _taught(name: str) -> str:
    return f"taught {name}"


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _save(path: Path, array: npt.NDArray[np.float16]) -> None:
    with path.open("wb") as out:
        np.save(out, array, allow_pickle=False)


def _write(path: Path, write: Callable[[Path], object], *, durable: bool) -> None:
    draft = path.with_suffix(path.suffix + ".tmp")
    write(draft)
    if durable:
        with draft.open("rb+") as out:
            os.fsync(out.fileno())
    draft.replace(path)
