"""What a version sees of depth, from the parts that it is taught."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.intake.decode import ImageRejected, read_allowed
from daemon.intake.depth import heights_of
from daemon.intake.onto_canvas import onto_canvas
from daemon.learning.survey import Survey, Surveyed
from daemon.settings.models import SourceSettings
from memory.canvas import canvas_of
from memory.depth import DepthWindow, Heights, balance, window_of
from memory.features import Patches
from memory.geometry import Geometry

if TYPE_CHECKING:
    from memory.extract import Extractor

MEASURED_PARTS, BALANCED_PARTS = 32, 8  # at most, spread evenly over all
BALANCED_TILES = 4  # of each


def depth_window(found: Survey, geometry: Geometry, extractor: Extractor, source: SourceSettings) -> DepthWindow:
    """The window of depth of usable files, whose geometry has none yet. Raises NoDepth where none of them has a depth
    map that can be used; teaching tells which have not."""

    def heights() -> Iterator[Heights]:
        for one in _spread(found.usable, MEASURED_PARTS):
            with suppress(ImageRejected):
                yield heights_of(_bytes(one, source), one.size_px, geometry.canvas_px, source)

    window = window_of(heights())
    seeing = replace(geometry, depth=window)
    tiles = canvas_of(seeing, extractor.shapes).tiling.some(BALANCED_TILES)

    def patches() -> Iterator[Patches]:
        for one in _spread(found.usable, BALANCED_PARTS):
            with suppress(ImageRejected):
                yield extractor.features(onto_canvas(_bytes(one, source), seeing, source), tiles).patches

    return replace(window, weight=balance(list(patches())))


def _spread(usable: tuple[Surveyed, ...], most: int) -> tuple[Surveyed, ...]:
    return usable[:: math.ceil(len(usable) / most)]


def _bytes(one: Surveyed, source: SourceSettings) -> bytes:
    return read_allowed(one.path, (one.path.parent,), source.max_bytes)
