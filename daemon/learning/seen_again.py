"""Confirmed defects seen again, on the canvas of another geometry."""

from __future__ import annotations

import numpy as np

from daemon.inference import scene_records
from daemon.inference.engine import Engine
from daemon.inference.sight import Sight, sight_of
from daemon.intake.positioning import as_it_lay, as_taught, same_position
from drift.reference import Reference
from memory.defects import ConfirmedDefects, Defect, on_grid
from memory.errors import DriftlineError
from memory.geometry import same_canvas
from memory.version import Model


class DefectsLost(DriftlineError):
    """Confirmed defects cannot be seen on another canvas: their images are gone, or have another size."""


def seen_on(engine: Engine, base: Model, sight: Sight, reference: Reference) -> ConfirmedDefects:
    """The confirmed defects of `base` as a new version sees them, from their kept images; as they are where it sees as
    `base` did. Raises DefectsLost, since no defect may be forgotten."""
    confirmed, before = base.snapshot.confirmed_defects, sight_of(base, engine.extractor)
    alike = same_canvas(base.version.geometry, sight.canvas.geometry.to_json())
    if alike and same_position(before.template, sight.template):
        return confirmed
    seen, lost = [], []
    for defect in confirmed.defects:
        again = _seen_again(engine, defect, before, sight, reference)
        if again is None:
            lost.append(defect.sample)
        else:
            seen.append(again)
    if lost:
        raise DefectsLost(
            expected=f"the images of {len(confirmed)} confirmed defects, to see them in the new geometry",
            came=f"{len(lost)} are gone, altered, cannot be read or placed now, or lie outside the region, "
            f"the first {lost[0]!r}",
            do="teach with the geometry of before, or into a new state_dir",
        )
    return ConfirmedDefects(tuple(seen))


def _seen_again(engine: Engine, defect: Defect, before: Sight, sight: Sight, reference: Reference) -> Defect | None:
    frame = engine.ledger.frame(defect.sample)
    if frame is None:
        return None
    gain = scene_records.gain_seen(engine.store, frame, sight.canvas.geometry, reference)
    seen = engine.pictures(sight).of(frame, gain)
    seen_before = engine.pictures(before).of(frame, gain) if before.template else (None, None)
    if seen is None or seen_before is None:
        return None
    features, stride_px = sight.view(seen[0], engine.extractor).features, engine.extractor.shapes.stride_px
    lay = as_it_lay(defect.mask.astype(np.float32), seen_before[1], stride_px) > 0
    mask = as_taught(on_grid(lay, features.grid), seen[1], stride_px)
    if not features.of_map(mask).any():
        return None
    return Defect(defect.sample, features.thinned(features.of_map(mask)), mask)
