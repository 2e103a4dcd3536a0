"""Confirmed defects seen again, on the canvas of another geometry."""

from __future__ import annotations

import cv2
import numpy as np

from daemon.inference import scene_records
from daemon.inference.engine import Engine
from drift.reference import Reference
from memory.canvas import Canvas
from memory.defects import ConfirmedDefects, Defect
from memory.errors import DriftlineError
from memory.features import PatchMask
from memory.version import Model


class DefectsLost(DriftlineError):
    """Confirmed defects cannot be seen on another canvas: their images are gone, or have another size."""


def seen_on(engine: Engine, base: Model, canvas: Canvas, reference: Reference) -> ConfirmedDefects:
    """The confirmed defects of `base` on this canvas, from their kept images; as they are where the geometry is the
    same. Raises DefectsLost, since no defect may be forgotten."""
    confirmed = base.snapshot.confirmed_defects
    if base.version.geometry == canvas.geometry.to_json():
        return confirmed
    seen, lost = [], []
    for defect in confirmed.defects:
        again = _seen_again(engine, defect, canvas, reference)
        if again is None:
            lost.append(defect.sample)
        else:
            seen.append(again)
    if lost:
        raise DefectsLost(
            expected=f"the images of {len(confirmed)} confirmed defects, to see them in the new geometry",
            came=f"{len(lost)} are gone, have another size or lie outside the region, the first {lost[0]!r}",
            do="teach with the geometry of before, or into a new state_dir",
        )
    return ConfirmedDefects(tuple(seen))


def _seen_again(engine: Engine, defect: Defect, canvas: Canvas, reference: Reference) -> Defect | None:
    frame = engine.ledger.frame(defect.sample)
    if frame is None:
        return None
    image = engine.pictures(canvas.geometry).of(frame, scene_records.gain_under(frame.scene, reference))
    if image is None:
        return None
    features = engine.extractor.features(image, canvas.tiling)
    mask = _on_grid(defect.mask, features.grid)
    if not features.of_map(mask).any():
        return None
    return Defect(defect.sample, features.thinned(features.of_map(mask)), mask)


def _on_grid(mask: PatchMask, grid: tuple[int, int]) -> PatchMask:
    """A mask on another grid (rows, columns): every cell that one of its cells touches."""
    covered = cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    touched: PatchMask = covered > 0
    return touched
