"""The survey of a folder of good parts before it is taught: which files can be used, and the geometry they make."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from daemon.intake.decode import LEAST_PX, ImageRejected, RawImage, found_bits, path_text, read, read_allowed
from daemon.settings.models import SceneSettings, SourceSettings
from memory.errors import DriftlineError
from memory.geometry import Geometry, InputShapes, common_size, geometry_of
from memory.region import Region
from memory.side_by_side import side_by_side

MIN_PARTS = 2
LEFT_OUT = "left out on request"
Track = Callable[[Sequence[Path], str], Iterable[Path]]
log = structlog.get_logger()


class TeachError(DriftlineError):
    """The taught images cannot make a version."""


@dataclass(frozen=True)
class Surveyed:
    """A usable image file: its upright size (height, width) in pixels, its largest value where it does not state its
    bit depth, and whether it can be decoded smaller, as a JPEG can."""

    path: Path
    size_px: tuple[int, int]
    largest: int | None
    shrinks: bool


@dataclass(frozen=True)
class Survey:
    """The usable files of a folder, and why each of the others is `refused`, by its path as text."""

    usable: tuple[Surveyed, ...]
    refused: dict[str, str]

    def geometry(self, shapes: InputShapes, region: Region, scene: SceneSettings, bits: int | None) -> Geometry:
        """The geometry that the files make; `bits` is the depth of files that do not state it, None to find it where
        there are any. Where none can be decoded smaller, none will be. Raises GeometryError."""
        unstated = [one.largest for one in self.usable if one.largest is not None]
        window = bits or (found_bits(max(unstated)) if unstated else None)
        sizes = [one.size_px for one in self.usable]
        geometry = geometry_of(sizes, shapes, region, window, scene.scale, scene.smallest_defect_px)
        return geometry if any(one.shrinks for one in self.usable) else replace(geometry, shrink=1)


def enough(usable: int, refused: int) -> None:
    """Raises TeachError for fewer than `MIN_PARTS` usable images."""
    if usable < MIN_PARTS:
        raise TeachError(
            expected=f"at least {MIN_PARTS} usable images of good parts",
            came=f"{usable} usable, {refused} refused",
            do="add good parts; a false-reject rate r needs at least 1/r - 1 of them",
        )


def apart(paths: Sequence[Path], without: Collection[str]) -> tuple[list[Path], list[Path]]:
    """The files to teach, and those to leave out: every one that ends with a name `without`. Raises TeachError for a
    name that none has."""
    named = {
        name: [path for path in paths if path.parts[-len(Path(name).parts) :] == Path(name).parts] for name in without
    }
    for name, files in named.items():
        if not files:
            raise TeachError(
                expected="names of files in the folder that is taught",
                came=f"{name}, which none has",
                do="name a file as `teach` does, or by its name alone",
            )
    left_out = {path for files in named.values() for path in files}
    return [path for path in paths if path not in left_out], sorted(left_out)


def survey(paths: Sequence[Path], source: SourceSettings, track: Track) -> Survey:
    """Look at every file once. Refused are those that cannot be read, that repeat another's image, and, where most have
    one size, those of another."""
    usable: list[Surveyed] = []
    seen: dict[str, list[Path]] = {}
    refused: dict[str, str] = {}
    looks = side_by_side(partial(_look, source=source), track(paths, "images"))
    for path, look in zip(paths, looks, strict=True):
        name = path_text(path)
        if isinstance(look, ImageRejected):
            refused[name] = str(look)
            continue
        surveyed, digest = look
        alike = seen.setdefault(digest, [])
        same = next((one for one in alike if not (surveyed.shrinks and _differ(path, one, source))), None)
        if same is not None:
            refused[name] = f"it is the same image as {path_text(same)}; photograph each part once"
            continue
        alike.append(path)
        usable.append(surveyed)
    usable = _of_one_size(usable, refused)
    for name, reason in refused.items():
        log.warning("image refused", file=name, reason=reason)
    return Survey(tuple(usable), refused)


def _look(path: Path, source: SourceSettings) -> tuple[Surveyed, str] | ImageRejected:
    """What a file is, with the SHA-256 of its pixels, of a JPEG maybe decoded smaller, or why it cannot be used."""
    try:
        raw = read(read_allowed(path, (path.parent,), source.max_bytes), source.max_pixels, LEAST_PX, source.page)
    except ImageRejected as error:
        return error
    shrinks = raw.whole_px is not None
    return Surveyed(path, raw.size_px, _largest(raw), shrinks), hashlib.sha256(raw.pixels.tobytes()).hexdigest()


def _differ(one: Path, other: Path, source: SourceSettings) -> bool:
    """Whether two images, whose pixels are the same where both are decoded smaller, differ as a whole."""
    try:
        data = [read_allowed(path, (path.parent,), source.max_bytes) for path in (one, other)]
        first, second = (read(each, source.max_pixels, None, source.page).pixels for each in data)
    except ImageRejected:  # gone or changed since; `read_parts` tells it
        return True
    return not np.array_equal(first, second)


def _of_one_size(usable: list[Surveyed], refused: dict[str, str]) -> list[Surveyed]:
    size_px = common_size([one.size_px for one in usable]) if usable else None
    if size_px is None:
        return usable
    for one in usable:
        if one.size_px != size_px:
            height, width = one.size_px
            refused[path_text(one.path)] = (
                f"expected {size_px[1]}×{size_px[0]} px, as most of the folder; came {width}×{height} px;"
                " teach the images of one camera at a time"
            )
    return [one for one in usable if one.size_px == size_px]


def _largest(raw: RawImage) -> int | None:
    return None if raw.bits is not None else int(raw.pixels.max())
