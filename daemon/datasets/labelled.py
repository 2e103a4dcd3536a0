"""What a labelled data set tells of its images: which split each belongs to, what it shows, and where.

Readers of published layouts are in `daemon.datasets.readers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from daemon.intake.decode import LEAST_PX, ImageRejected, path_text, read
from daemon.ledger.records import Box
from memory.errors import DriftlineError

GOOD = "good"
MAX_PIXELS = 200_000_000

Mask = npt.NDArray[np.bool_]


class LabelsError(DriftlineError):
    """The data set is not of the layout that was named, or one of its files cannot be used."""


class Split(StrEnum):
    """What an image is for, as its publishers say."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class DefectRegion:
    """One marked defect: its kind and its mask (H, W). `saturation_px` is how many of its pixels find it whole, as in
    MVTec LOCO; None: all of them."""

    kind: str
    mask: Mask
    saturation_px: float | None = None


class Annotation(Protocol):
    """Where the defects of one image are, in whatever way its data set tells."""

    def regions(self, height: int, width: int) -> Iterator[DefectRegion]:
        """The marked defects in an image of this size. Raises LabelsError where a file does not fit, or is none."""


@dataclass(frozen=True)
class LabelledImage:
    """An image with its label: `good`, or a kind of defect. `annotation` says where the defects are, None where nobody
    does. Images of one `part` belong on one side of any split; `depth` is a file of the same view in three
    dimensions; `page` is the page of a TIFF that holds it, None where there is one."""

    path: Path
    split: Split
    kind: str = GOOD
    annotation: Annotation | None = None
    part: str = ""
    depth: Path | None = None
    page: int | None = None

    @property
    def defective(self) -> bool:
        """Whether it shows a defect."""
        return self.kind != GOOD

    @cached_property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the image. Raises LabelsError for a file that is no image."""
        try:
            return read(self.path.read_bytes(), MAX_PIXELS, LEAST_PX, self.page).size_px
        except (OSError, ImageRejected) as error:
            do = f"put {path_text(self.path)} right, or take it away"
            raise LabelsError(expected="an image", came=str(error), do=do) from error

    def regions(self) -> tuple[DefectRegion, ...]:
        """Its marked defects, in the size of the image. Raises LabelsError."""
        return tuple(self.annotation.regions(*self.size_px)) if self.annotation else ()

    def mask(self) -> Mask | None:
        """All marked pixels (H, W): none for a good part, None where nobody knows. Raises LabelsError."""
        if self.annotation is None:
            return None if self.defective else np.zeros(self.size_px, dtype=bool)
        return union(self.regions(), *self.size_px)

    @property
    def box(self) -> Box | None:
        """The box around all marked pixels, as shares of the image; None where none are marked, or the image cannot be
        read, which whoever judges it will say. Raises LabelsError for a mask that cannot be read."""
        if self.annotation is None:
            return None
        try:
            size_px = self.size_px
        except LabelsError:
            return None
        return box_of(union(self.annotation.regions(*size_px), *size_px))


@dataclass(frozen=True)
class DataSet:
    """A data set, or one category of it, as its publishers split it. `ignored` tells of files and lines that could not
    be used, each with the reason."""

    images: tuple[LabelledImage, ...]
    ignored: tuple[str, ...] = ()

    def of(self, *splits: Split) -> tuple[LabelledImage, ...]:
        """The images of some splits."""
        return tuple(image for image in self.images if image.split in splits)

    @property
    def goods(self) -> tuple[LabelledImage, ...]:
        """The good parts to teach."""
        return tuple(image for image in self.of(Split.TRAIN) if not image.defective)


def union(regions: Iterable[DefectRegion], height: int, width: int) -> Mask:
    """All pixels that any of the regions marks (height, width)."""
    every = np.zeros((height, width), dtype=bool)
    for region in regions:
        every |= region.mask
    return every


def box_of(marked: Mask) -> Box | None:
    """The box around the marked pixels (H, W): left, top, right, bottom as shares of the image; None where there are
    none."""
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not len(rows):
        return None
    height, width = marked.shape
    left, top = float(columns[0]) / width, float(rows[0]) / height
    return left, top, float(columns[-1] + 1) / width, float(rows[-1] + 1) / height
