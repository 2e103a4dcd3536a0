"""A self-check before teaching: what changes in an image changes in its features at the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from memory.errors import DriftlineError
from memory.features import Features, Image, Map

if TYPE_CHECKING:
    from memory.extract import Extractor

NEAR = 1 / 8  # of the image's side: how far the change may lie from its cause, since networks look around


def check_grid(extractor: Extractor, image: Image) -> None:
    """Refuse an extractor whose grid is not that of the image: transposed, or with channels for columns.

    A mark of one patch of the coarsest map is laid on the `image` (height_px, width_px, 3) u8 in four places; each time
    the features must change most near it. It takes five passes of the network. A side of fewer than three such patches
    tells nothing. Raises DriftlineError where a change lies elsewhere.
    """
    side_px = extractor.multiple_px
    rows, columns = image.shape[0] // side_px, image.shape[1] // side_px
    plain = extractor(image)
    for row in _two_of(rows):
        for column in _two_of(columns):
            change = _change(plain, extractor(_marked(image, row, column, side_px)), rows, columns)
            came = np.unravel_index(change.argmax(), change.shape)
            if abs(came[0] - row) > max(1, rows * NEAR) or abs(came[1] - column) > max(1, columns * NEAR):
                raise DriftlineError(
                    expected=f"a mark on the image to change its features there, in cell ({row}, {column}) of "
                    f"({rows}, {columns})",
                    came=f"the largest change in cell ({came[0]}, {came[1]})",
                    do="choose another extractor.model or other extractor.layers: these patches lie elsewhere",
                )


def _two_of(cells: int) -> tuple[int, int]:
    """One of the first cells and one of the last, but on a small grid not at the border, where features are odd."""
    return cells // 5, cells - 1 - cells // 5


def _marked(image: Image, row: int, column: int, side_px: int) -> Image:
    marked = image.copy()
    patch = marked[row * side_px : (row + 1) * side_px, column * side_px : (column + 1) * side_px]
    patch[:] = np.where(patch < 128, 255, 0)  # every pixel changes, whatever it was
    return marked


def _change(before: Features, after: Features, rows: int, columns: int) -> Map:
    """How much features change in each of (rows, columns) cells and the eight around it.

    A patch is the mean of its neighbourhood, so where maps are coarse nine patches show the mark alike: the middle of
    them is found by their sum.
    """
    lengths = np.linalg.norm(after.patches - before.patches, axis=1)
    change = cv2.resize(before.to_map(lengths), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(change, (3, 3), borderType=cv2.BORDER_CONSTANT), dtype=np.float32)
