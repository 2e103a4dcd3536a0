"""Array types shared by all packages: images, patch features, and maps and masks over a grid of patches.

It imports nothing of ours, so `drift` may import it too, and reading a version does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]  # on a canvas, the three channels of a depth picture may follow the colours
Patches = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Map = npt.NDArray[np.float32]
PatchMask = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.int64]

EVERY_CELL: Cells = np.empty(0, dtype=np.int64)
MOST_PATCHES = 4_096  # of larger images, what is stored or taught is a part of the patches
LATTICE = 1_024
MOST_ANOMALOUS = 512
LEVEL, STEEPEST = 128, 127  # of a slope of none, and how far the steepest lies from it


def colours(image: Image) -> Image:
    """The colours (H, W, 3) of an image on a canvas, without its depth picture."""
    return image[:, :, :3]


def recoloured(image: Image, by: Image) -> Image:
    """An image (H, W, 3 or 6) u8 with other colours (H, W, 3), and the depth picture that it has."""
    return by if image.shape[2] == 3 else np.concatenate([by, image[:, :, 3:]], axis=2)


def by_threes(change: Callable[[Image], npt.NDArray[Any]], image: Image) -> Image:
    """An image (H, W, 3 or 6) u8 of which colours and depth picture are changed alike, each for itself: OpenCV moves
    no more than four channels at once."""
    parts = [change(image[:, :, first : first + 3]) for first in range(0, image.shape[2], 3)]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
    return whole.astype(np.uint8, copy=False)


def slopes_turned(image: Image, clockwise_deg: float) -> Image:
    """An image (H, W, 3 or 6) u8 whose picture of depth, if it has one, was turned: the slopes in it turn too, since
    right is another direction now."""
    if image.shape[2] == 3:
        return image
    cosine, sine = np.cos(np.deg2rad(clockwise_deg)), np.sin(np.deg2rad(clockwise_deg))
    right, down = (image[:, :, at].astype(np.float32) - LEVEL for at in (4, 5))
    slopes = np.stack([cosine * right - sine * down, sine * right + cosine * down], axis=2) + LEVEL
    return np.concatenate([image[:, :, :4], np.clip(np.rint(slopes), 0, 255).astype(np.uint8)], axis=2)


@dataclass(frozen=True, eq=False)
class Features:
    """Patch features of one image.

    `values` (n, D) are its patches in float32 or, where they are kept, in float16: every one is exactly representable
    in that, so a stored image scores bit-identically to a live one. `grid` is (rows, columns), and `cells` (n,) says in
    which of its cells, counted row by row, each patch lies; by default all of them in order. A region of interest has
    fewer. `whole` is how many patches the image has in all, more than there are where only some were kept (`thinned`).
    Raises ValueError where these do not fit together.
    """

    values: Patches | Halves
    grid: tuple[int, int]
    cells: Cells = field(default_factory=lambda: EVERY_CELL)
    whole: int = 0

    def __post_init__(self) -> None:
        if self.cells is EVERY_CELL:
            object.__setattr__(self, "cells", np.arange(self.grid[0] * self.grid[1]))
        if len(self.cells) != len(self.values):
            raise ValueError(f"expected a patch for each of {len(self.cells)} cells of {self.grid}; came {len(self)}")
        last = self.grid[0] * self.grid[1] - 1
        if len(self) and (self.cells[0] < 0 or self.cells[-1] > last or (np.diff(self.cells) <= 0).any()):
            raise ValueError(f"expected ascending cells from 0 to {last}; came {self.cells.tolist()[:20]}")
        object.__setattr__(self, "whole", self.whole or len(self))
        if not len(self) <= self.whole <= last + 1:
            raise ValueError(f"expected {len(self)} to {last + 1} patches in all; came {self.whole}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def patches(self) -> Patches:
        """The patches (n, D) f32."""
        return self.values.astype(np.float32, copy=False)

    @property
    def halved(self) -> Features:
        """The same in half of the memory."""
        return self if self.values.dtype == np.float16 else replace(self, values=self.values.astype(np.float16))

    @property
    def complete(self) -> bool:
        """Whether every cell of the grid has its patch."""
        return len(self.values) == self.grid[0] * self.grid[1]

    def to_map(self, values: npt.NDArray[Any], outside: float = 0.0) -> npt.NDArray[Any]:
        """Values of patches (n, ...) as a map (rows, columns, ...), with `outside` where there is no patch."""
        if self.complete:
            return values.reshape(*self.grid, *values.shape[1:])  # (n, ...) -> (rows, columns, ...)
        flat = np.full((self.grid[0] * self.grid[1], *values.shape[1:]), outside, dtype=values.dtype)
        flat[self.cells] = values
        return flat.reshape(*self.grid, *values.shape[1:])  # (rows * columns, ...) -> (rows, columns, ...)

    def of_map(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values (n,) of a map (rows, columns) at the patches."""
        return values.reshape(-1)[self.cells]  # (rows, columns) -> (rows * columns,) -> (n,)

    @property
    def large(self) -> bool:
        """Whether the image has so many patches that only some of them are stored or taught."""
        return self.whole > MOST_PATCHES

    @property
    def lattice(self) -> npt.NDArray[np.bool_]:
        """Which patches (n,) lie on a regular lattice of about `LATTICE` of them, which `thinned` always keeps; all of
        them where the image is not large. What is measured on it is the same before and after."""
        if not self.large:
            return np.ones(len(self), dtype=bool)
        step = math.ceil(math.sqrt(self.whole / LATTICE))
        rows, columns = np.divmod(self.cells, self.grid[1])
        on: npt.NDArray[np.bool_] = (rows % step == 0) & (columns % step == 0)
        return on

    def thinned(self, keep: npt.NDArray[np.bool_]) -> Features:
        """The patches to `keep` (n,) and those on the lattice; itself where the image is not large."""
        if not self.large:
            return self
        kept = keep | self.lattice
        return Features(self.values[kept], self.grid, self.cells[kept], self.whole)

    def telling(self, anomaly: Map) -> Features:
        """Thinned to what decides its score: the `MOST_ANOMALOUS` patches by an anomaly map (rows, columns)."""
        if not self.large:
            return self
        keep = np.zeros(len(self), dtype=bool)
        keep[np.argsort(-self.of_map(anomaly), kind="stable")[:MOST_ANOMALOUS]] = True
        return self.thinned(keep)

    @property
    def emptied(self) -> Features:
        """Without any of its patches."""
        return Features(self.values[:0].copy(), self.grid, self.cells[:0], self.whole)

    def drawn(self, most: int, rng: np.random.Generator) -> Features:
        """Thinned to a random draw of `most` patches."""
        if not self.large or len(self) <= most:
            return self
        keep = np.zeros(len(self), dtype=bool)
        keep[rng.choice(len(self), most, replace=False)] = True
        return self.thinned(keep)


@dataclass(frozen=True, eq=False)
class View:
    """The input of a detector: an image's features, and the image (H, W, 3) u8 itself where it was kept.

    Where `features` come from another backend than the reference, `reference` are the features that the image was
    taught by, if it was.
    """

    features: Features
    image: Image | None = None
    reference: Features | None = None
