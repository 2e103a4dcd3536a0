"""Patch features and the arrays they come from: apart from the extractor, so that no reader of a version pays
seconds for importing torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Patches = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Features:
    """Patch features of one image.

    `patches` is (P, D) float32 in row-major grid order; every value is exactly representable in float16, so
    a blob stored as float16 loses nothing and a stored image scores bit-identically to a live one.
    `grid` is (rows, columns) with rows * columns == P.
    """

    patches: Patches
    grid: tuple[int, int]
