"""How a version sees an image: on the canvas of its geometry, placed by its template, if it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daemon.intake.onto_canvas import Decoded, onto_canvas, refuse_blank
from daemon.intake.positioning import positioned, template_of
from daemon.settings.models import SourceSettings
from drift.light import compensate
from drift.placement import Placement, PlacementTemplate
from drift.signals import Vector, light
from memory.canvas import Canvas, canvas_of
from memory.features import Image, View
from memory.geometry import Geometry
from memory.version import Model

if TYPE_CHECKING:
    from memory.extract import Extractor


AS_IT_IS = np.zeros(3)  # the gain of images in the light of the reference


@dataclass(frozen=True, eq=False)
class Placed:
    """An image (H, W, 3 or 6) u8 on its canvas, as it was lit; how its part lay, where it was placed; and the light by
    channel (3,) that it shows."""

    raw: Image
    placement: Placement | None
    levels: Vector


@dataclass(frozen=True, eq=False)
class Sight:
    """The canvas of a version, and the template that its parts are placed by, if they are."""

    canvas: Canvas
    template: PlacementTemplate | None

    def place(self, seen: Decoded, source: SourceSettings) -> Placed:
        """A decoded image on this version's canvas. Raises ImageRejected for an image that shows nothing, a part that
        cannot be placed, and one that was decoded for another geometry and does not have this one."""
        geometry = self.canvas.geometry
        whole = seen.image if seen.geometry == geometry else onto_canvas(seen.data, geometry, source)
        refuse_blank(whole, self.canvas.inside)
        raw, placement = positioned(whole, self.template)
        return Placed(raw, placement, light(raw, self.canvas.inside))

    def lit(self, placed: Placed, gain: Vector) -> Image:
        """The image (H, W, 3 or 6) u8 as this version scores it: its light divided out, by a gain by channel (3,), and
        what lies outside the region painted over."""
        return compensate(placed.raw, gain, self.canvas.inside)

    def view(self, image: Image, extractor: Extractor) -> View:
        """The view of an image that was looked at."""
        return View(extractor.features(image, self.canvas.tiling, self.canvas.geometry.depth_weight), image)


def sight_of(model: Model, extractor: Extractor) -> Sight:
    """How a version sees images."""
    geometry = Geometry.of(model.version.geometry, extractor.input_px)
    return Sight(canvas_of(geometry, extractor.shapes), template_of(model.snapshot.reference))
