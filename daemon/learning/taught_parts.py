"""Reading of good parts as the version that is being taught sees them, and where they lie."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from daemon.inference.sight import AS_IT_IS, Sight
from daemon.intake.decode import ImageRejected, path_text, read_allowed
from daemon.intake.onto_canvas import decode_onto, onto_canvas
from daemon.learning.spool import Spool
from daemon.learning.survey import Survey, TeachError, Track, enough
from daemon.settings.load import Settings
from daemon.settings.models import SourceSettings
from drift.placement import TAUGHT_PARTS, PlacementTemplate, placement_template
from drift.signals import grey_of
from memory.canvas import Canvas
from memory.depth import turned
from memory.detector import GoodPart
from memory.features import LATTICE, MOST_PATCHES, Features, Image, View
from memory.grid_check import check_grid
from memory.on_demand import OnDemand
from memory.side_by_side import side_by_side

if TYPE_CHECKING:
    from memory.extract import Extractor

MOST_DRAWN = 250_000  # patches of all large images together, of which a detector is made, beside their lattices
MOST_TEACHING = 250  # large parts, spread evenly over all that come; the others only calibrate
FEW = 8  # parts, of which the bank is taught turned images too: so few do not show how a part may lie
TURNS_DEG = (-15.0, -8.0, 8.0, 15.0)
log = structlog.get_logger()


@dataclass(frozen=True)
class TaughtFile:
    """An image file that was taught, with the SHA-256 of its content."""

    path: Path
    sha256: str


def common_position(found: Survey, canvas: Canvas, source: SourceSettings) -> PlacementTemplate:
    """The template that parts are placed by, of as many taught ones as it can be made of. Raises TeachError where those
    have no position in common."""
    every = math.ceil(len(found.usable) / TAUGHT_PARTS)
    greys = []
    for one in found.usable[::every]:
        with suppress(ImageRejected):  # `read_parts` tells it
            data = read_allowed(one.path, (one.path.parent,), source.max_bytes)
            greys.append(grey_of(onto_canvas(data, canvas.geometry, source)))
    enough(len(greys), len(found.refused))
    template = placement_template(greys, canvas.inside)
    if not template.usable:
        raise TeachError(
            expected="parts that lie alike but for 10 % and 15°, with structure to place them by",
            came=f"a median fit of {np.median(template.confidences):.2f}, {template.least_confidence:.2f} needed",
            do="set scene.align to false, or draw a region around what has structure",
        )
    return template


def read_parts(
    found: Survey, sight: Sight, extractor: Extractor, settings: Settings, track: Track, spool: Spool
) -> tuple[dict[str, TaughtFile], Sequence[GoodPart]]:
    """The usable files by name, and their good parts, of large images with a draw of their patches, or without any
    where there are more than `MOST_TEACHING`; all their patches go to the `spool`, from where those of other parts are
    read whenever one is asked for. What cannot be looked at is refused too. Raises DriftlineError for a backbone whose
    patches do not lie where they should."""
    paths = [one.path for one in found.usable]
    files: dict[str, TaughtFile] = {}
    drawn: list[Features] = []
    turned_by: list[tuple[Features, ...]] = []
    large = len(sight.canvas.tiling.cells) > MOST_PATCHES
    every = math.ceil(len(paths) / MOST_TEACHING)
    few = len(paths) <= FEW and sight.template is None and sight.canvas.inside is None  # the rest is painted
    most = max(LATTICE, min(MOST_PATCHES, MOST_DRAWN * every // len(paths)))
    look_at = partial(_look, sight=sight, extractor=extractor, source=settings.source)
    looks = (map if large else side_by_side)(look_at, track(paths, "features"))  # large ones are many tiles each
    for path, look in zip(paths, looks, strict=True):
        name = path_text(path)
        if isinstance(look, ImageRejected):
            found.refused[name] = str(look)
            log.warning("image refused", file=name, reason=str(look))
            continue
        image, features = look.image, look.features
        if not files:
            check_grid(extractor, sight.canvas.tiling.first(image))
        spool.add(image, features)
        if large:
            rng = np.random.default_rng((settings.memory.seed, len(files)))
            drawn.append(features.emptied if len(files) % every else features.drawn(most, rng).halved)
        turned_by.append(_turned(image, sight, extractor) if few and not large else ())
        files[name] = TaughtFile(path, look.sha256)
    if every > 1 and large:
        log.info("large parts: some teach, all calibrate", teaching=math.ceil(len(files) / every), parts=len(files))
    names = list(files)

    def good(i: int) -> GoodPart:
        view = View(drawn[i]) if large else View(spool.features[i], spool.images[i])
        return GoodPart(names[i], view, turned=turned_by[i])

    return files, OnDemand(range(len(names)), good)


@dataclass(frozen=True)
class _Look:
    """A part as the version sees it, its features, and the SHA-256 of its file's content."""

    image: Image
    features: Features
    sha256: str


def _look(path: Path, sight: Sight, extractor: Extractor, source: SourceSettings) -> _Look | ImageRejected:
    """A look at an image file, or why it cannot be looked at."""
    try:
        data = read_allowed(path, (path.parent,), source.max_bytes)
        seen = decode_onto(data, sight.canvas.geometry, source)
        image = sight.lit(sight.place(seen, source), AS_IT_IS)
    except ImageRejected as error:
        return error
    return _Look(image, sight.view(image, extractor).features, hashlib.sha256(data).hexdigest())


def _turned(image: Image, sight: Sight, extractor: Extractor) -> tuple[Features, ...]:
    """The features of an image (H, W, 3 or 6) u8 turned about its middle; what comes into view mirrors the border."""
    return tuple(sight.view(turned(image, turn_deg), extractor).features for turn_deg in TURNS_DEG)
