"""The images and features of taught parts while they are taught: in memory, or on disk where they are large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from memory.features import Features, Image
from memory.tiles import Tiling

T = TypeVar("T")


class Spool:
    """The images (H, W, 3) u8 and features of taught parts, in the order in which they were added.

    Those of large images are written to `folder` and read again whenever they are asked for, so that the memory needed
    does not grow with the parts.
    """

    def __init__(self, tiling: Tiling, folder: Path, *, large: bool) -> None:
        self.large = large
        self._tiling = tiling
        self._folder = folder if large else None
        self._images: list[Image] = []
        self._features: list[Features] = []
        self._count = 0

    def add(self, image: Image, features: Features) -> None:
        """Add a part."""
        if self._folder:
            np.save(self._path("image", self._count), image, allow_pickle=False)
            # Every value is exact in float16 (`memory.features.Features`).
            np.save(self._path("patches", self._count), features.patches.astype(np.float16), allow_pickle=False)
        else:
            self._images.append(image)
            self._features.append(features)
        self._count += 1

    @property
    def images(self) -> Sequence[Image]:
        """The images."""
        return _Read(self._count, self._image) if self._folder else self._images

    @property
    def features(self) -> Sequence[Features]:
        """The features."""
        return _Read(self._count, self._features_of) if self._folder else self._features

    def _image(self, i: int) -> Image:
        image: Image = np.load(self._path("image", i), allow_pickle=False)
        return image

    def _features_of(self, i: int) -> Features:
        patches = np.load(self._path("patches", i), allow_pickle=False).astype(np.float32)
        return Features(patches, self._tiling.grid, self._tiling.cells)

    def _path(self, name: str, i: int) -> Path:
        assert self._folder is not None  # noqa: S101  # asked only of large images
        return self._folder / f"{name}-{i:06d}.npy"


class _Read(Sequence[T]):
    """A sequence whose elements are read when they are asked for."""

    def __init__(self, count: int, read: Callable[[int], T]) -> None:
        self._count = count
        self._read = read

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._read(i) for i in range(self._count)[index]]
        return self._read(range(self._count)[index])
