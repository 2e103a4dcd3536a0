"""What a version sees of depth, from the parts that it is taught."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from daemon.intake.decode import ImageRejected, path_text, read_allowed
from daemon.intake.depth import heights_of
from daemon.intake.onto_canvas import onto_canvas
from daemon.learning.survey import Survey, Surveyed
from daemon.settings.models import SourceSettings
from memory.canvas import canvas_of
from memory.depth import DepthWindow, Measured, NoDepth, balance, odd, window_of
from memory.features import Patches
from memory.geometry import Geometry

if TYPE_CHECKING:
    from memory.extract import Extractor

MEASURED_PARTS, BALANCED_PARTS = 32, 8  # at most, spread evenly over all
BALANCED_TILES = 4  # of each
log = structlog.get_logger()


def depth_window(
    found: Survey, geometry: Geometry, extractor: Extractor, source: SourceSettings, before: DepthWindow | None
) -> DepthWindow:
    """The window of depth of usable files, whose geometry has none yet; that of the version `before` where it holds
    them, so that teaching again changes no geometry. Parts that are odd are told. Raises NoDepth where no part has a
    depth map that can be used."""
    window = _measured(found, geometry, source)
    if before is not None and before.holds(window):
        return before
    seeing = replace(geometry, depth=window)
    tiles = canvas_of(seeing, extractor.shapes).tiling.some(BALANCED_TILES)

    def patches() -> Iterator[Patches]:
        for one in _spread(found.usable, BALANCED_PARTS):
            with suppress(ImageRejected):  # `read_parts` tells it
                yield extractor.features(onto_canvas(_bytes(one, source), seeing, source), tiles).patches

    return replace(window, weight=balance(list(patches())))


def _measured(found: Survey, geometry: Geometry, source: SourceSettings) -> DepthWindow:
    parts: list[tuple[Surveyed, Measured]] = []
    why = "no file"
    for one in _spread(found.usable, MEASURED_PARTS):
        try:
            heights = heights_of(_bytes(one, source), one.size_px, geometry.canvas_px, source)
        except ImageRejected as error:
            why = f"none of {len(found.usable)}, {path_text(one.path)}: {error}"
        else:
            parts.append((one, Measured.of(heights)))
    if not parts:
        raise NoDepth(
            expected="taught parts with a depth map", came=why, do="look at source.depth_page and at the sensor"
        )
    measured = [each for _, each in parts]
    for place in odd(measured):
        low, high = measured[place].low, measured[place].high
        reason = f"heights from {low:.4g} to {high:.4g} lie far from those of the others: see whether it is a good part"
        log.warning("odd depth", file=path_text(parts[place][0].path), reason=reason)
    return window_of(measured)


def _spread(usable: tuple[Surveyed, ...], most: int) -> tuple[Surveyed, ...]:
    return usable[:: math.ceil(len(usable) / most)]


def _bytes(one: Surveyed, source: SourceSettings) -> bytes:
    return read_allowed(one.path, (one.path.parent,), source.max_bytes)
