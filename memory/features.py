"""The arrays that all packages speak of: images, patch features, maps and masks of a grid of patches.

A leaf: it imports nothing of ours, so `drift` may import it too, and no reader of a version pays for importing torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Patches = npt.NDArray[np.float32]
Map = npt.NDArray[np.float32]
PatchMask = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.int64]

EVERY_CELL: Cells = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Features:
    """Patch features of one image.

    `patches` is (n, D) float32; every value is exactly representable in float16, so a blob stored as float16 loses
    nothing and a stored image scores bit-identically to a live one. `grid` is (rows, columns), and `cells` (n,) says
    in which of its cells, counted row by row, each patch lies: all of them in order unless it is said. A region of
    interest is a shorter `patches`. Raises ValueError where the three do not fit together.
    """

    patches: Patches
    grid: tuple[int, int]
    cells: Cells = field(default_factory=lambda: EVERY_CELL)

    def __post_init__(self) -> None:
        if not len(self.cells):
            object.__setattr__(self, "cells", np.arange(self.grid[0] * self.grid[1]))
        if len(self.cells) != len(self.patches):
            raise ValueError(f"expected a patch for each of {len(self.cells)} cells of {self.grid}; came {len(self)}")

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def complete(self) -> bool:
        """Whether every cell of the grid has its patch."""
        return len(self.patches) == self.grid[0] * self.grid[1]

    def to_map(self, values: npt.NDArray[Any], outside: float = 0.0) -> npt.NDArray[Any]:
        """One value a patch, (n, ...), laid out as a map (rows, columns, ...); `outside` where there is no patch."""
        if self.complete:
            return values.reshape(*self.grid, *values.shape[1:])  # (n, ...) -> (rows, columns, ...)
        flat = np.full((self.grid[0] * self.grid[1], *values.shape[1:]), outside, dtype=values.dtype)
        flat[self.cells] = values
        return flat.reshape(*self.grid, *values.shape[1:])  # (rows * columns, ...) -> (rows, columns, ...)

    def of_map(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values of a map (rows, columns) where there are patches, (n,)."""
        return values.reshape(-1)[self.cells]  # (rows, columns) -> (rows * columns,) -> (n,)


@dataclass(frozen=True, eq=False)
class View:
    """What a detector may look at: the image's features, and the image (H, W, 3) u8 itself where it was kept.

    `features` may be those of another backend than the one that taught; then `reference` are the ones that it was
    taught by.
    """

    features: Features
    image: Image | None = None
    reference: Features | None = None
