"""Position: a part that lies a little differently is moved to where it was taught, if its version was taught so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from daemon.intake.decode import ImageRejected
from drift.alignment import Matrix, Pose, undone
from drift.placement import Placement, PlacementTemplate, place, placed
from drift.signals import grey_of
from memory.features import Image, Map, PatchMask
from memory.region import Inside, Region

_TEMPLATE = "placement."
Arrays = Mapping[str, npt.NDArray[np.float64]]


def template_arrays(template: PlacementTemplate | None) -> dict[str, npt.NDArray[np.float64]]:
    """The arrays of a template as a version's reference holds them; none where parts are not placed."""
    return {_TEMPLATE + name: array for name, array in template.arrays().items()} if template else {}


def template_of(reference: Arrays) -> PlacementTemplate | None:
    """The template in a version's reference; None where parts are not placed."""
    arrays = {name.removeprefix(_TEMPLATE): a for name, a in reference.items() if name.startswith(_TEMPLATE)}
    return PlacementTemplate.of(arrays) if arrays else None


def positioned(raw: Image, template: PlacementTemplate | None) -> tuple[Image, Placement | None]:
    """A canvas (H, W, 3 or 6) u8 with its part where it was taught, and how it lay; unchanged without a template.
    Raises ImageRejected for a part that cannot be placed."""
    if template is None:
        return raw, None
    placement = place(grey_of(raw), template)
    if not placement.trusted:
        raise ImageRejected(
            expected=f"the taught part, shifted by at most 10 % and turned by 15°, fit {template.least_confidence:.2f}",
            came=f"a fit of {placement.confidence:.2f}, turned by {placement.turn_deg:.0f}°",
            do="look whether the right part lies in its fixture",
        )
    return placed(raw, placement), placement


def placement_record(placement: Placement, shape: tuple[int, ...]) -> dict[str, Any]:
    """How a part lay in an image (H, W, ...), as JSON for the verdict: the fit's confidence, its shift right and down
    in percent of the image's width and height, degrees clockwise."""
    right, down = placement.shift_px
    return {
        "confidence": round(placement.confidence, 3),
        "shift_percent": [round(100 * right / shape[1], 2), round(100 * down / shape[0], 2)],
        "turn_deg": round(placement.turn_deg, 2),
    }


def as_it_lay(anomaly: Map, placement: Placement | None, stride_px: int) -> Map:
    """An anomaly map (rows, columns) of a placed part, moved to where the part lies in its image; 0 beyond."""
    if placement is None:
        return anomaly
    return _warped(anomaly, placement, stride_px, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def cell_as_it_lay(at: Sequence[int], grid: tuple[int, ...], placement: Placement, stride_px: int) -> list[int]:
    """The cell (row, column) of a placed part, moved to where it lies in its image; to the nearest in the grid."""
    row, column = at
    back = cv2.invertAffineTransform(_of_cells(placement, stride_px))
    x, y = (back @ (column, row, 1)).tolist()
    return [min(max(round(y), 0), grid[0] - 1), min(max(round(x), 0), grid[1] - 1)]


def region_as_it_lies(region: Region, record: Mapping[str, Any] | None, size_px: tuple[int, int]) -> Inside | None:
    """Which pixels of an image of this size (height, width) are judged, where its part was placed by this
    `placement_record`; None where they all are."""
    if region.everything:
        return None
    inside = region.inside(*size_px)
    if record is None:
        return inside
    right, down = record["shift_percent"]
    matrix = undone(Pose(right / 100, down / 100, record["turn_deg"]), size_px)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(inside.astype(np.uint8), matrix, size_px[::-1], flags=flags).astype(bool)


def as_taught(mask: PatchMask, placement: Placement | None, stride_px: int) -> PatchMask:
    """A mask (rows, columns) over an image, moved to where its part was taught."""
    if placement is None:
        return mask
    return _warped(mask.astype(np.float32), placement, stride_px, cv2.INTER_LINEAR) > 0


def same_position(one: PlacementTemplate | None, other: PlacementTemplate | None) -> bool:
    """Whether parts are placed alike by two templates, or neither places them."""
    ours, theirs = template_arrays(one), template_arrays(other)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def _warped(values: Map, placement: Placement, stride_px: int, how: int) -> Map:
    matrix = _of_cells(placement, stride_px)
    moved: Map = cv2.warpAffine(values, matrix, values.shape[::-1], flags=how).astype(np.float32, copy=False)
    return moved


def _of_cells(placement: Placement, stride_px: int) -> Matrix:
    """A placement's matrix (2, 3) for cells (x, y) instead of pixels."""
    matrix, middle = placement.matrix.copy(), np.full(2, (stride_px - 1) / 2)
    # A cell's centre lies in the middle of its pixels.
    matrix[:, 2] = (matrix[:, :2] @ middle + matrix[:, 2] - middle) / stride_px
    return matrix
