"""The images and features of taught parts while they are taught, on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.durable import disk
from memory.features import Features, Image
from memory.on_demand import OnDemand
from memory.tiles import Tiling


class Spool:
    """The images (H, W, 3 or 6) u8 and features of taught parts, in the order in which they were added.

    They are written to `folder` and read again whenever they are asked for, so that the memory needed does not grow
    with the parts. Raises StoreError where the disk refuses them, or what was written is gone.
    """

    def __init__(self, tiling: Tiling, folder: Path) -> None:
        self._tiling = tiling
        self._images = _Records(folder / "images")
        self._patches = _Records(folder / "patches")  # every value is exact in float16 (`memory.features.Features`)

    def add(self, image: Image, features: Features) -> None:
        """Add a part."""
        self._images.add(image)
        self._patches.add(features.halved.values)

    @property
    def images(self) -> Sequence[Image]:
        """The images."""
        return OnDemand(range(self._images.count), self._images.read)

    @property
    def features(self) -> Sequence[Features]:
        """The features."""

        def read(i: int) -> Features:
            return Features(self._patches.read(i), self._tiling.grid, self._tiling.cells)

        return OnDemand(range(self._patches.count), read)


class _Records:
    """Arrays of one shape and kind, one after the other in a file."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._path = path
        self._record: np.dtype[Any] = np.dtype(np.uint8)

    def add(self, array: npt.NDArray[Any]) -> None:
        with disk(self._path.parent), self._path.open("ab") as file:
            file.write(np.ascontiguousarray(array).data)
        self._record = np.dtype((array.dtype, array.shape))
        self.count += 1

    def read(self, i: int) -> npt.NDArray[Any]:
        with disk(self._path.parent):
            found = np.fromfile(self._path, self._record, count=1, offset=i * self._record.itemsize)
            if not len(found):
                raise OSError(f"{self._path.name} is shorter than what was written")
        record: npt.NDArray[Any] = found[0]
        return record
