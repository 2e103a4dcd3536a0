"""The tile protocol (shared/README.md): which part an image shows, in which role and stage, and where its defect is."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.intake.decode import decode

MAX_PIXELS = 100_000_000
STAGES = range(1, 7)


@dataclass(frozen=True)
class Shot:
    """One row of the protocol."""

    role: str
    stage: int
    part: str
    label: str
    image: Path
    mask: Path | None

    @property
    def defective(self) -> bool:
        """Whether the label is not good."""
        return self.label != "good"

    @property
    def exposure(self) -> int:
        """Which of the six exposures it was photographed under, 1 to 6: all images are named so."""
        named = re.search(r"exp(\d)", self.image.name)
        if named is None:
            raise ValueError(f"expected an image named exp1… to exp6…; came {self.image}: see shared/README.md")
        return int(named.group(1))


def rows(protocol: Path, images: Path) -> list[Shot]:
    """All rows of a protocol file, in order; their files lie below the folder `images`."""
    with protocol.open(newline="") as text:
        return [
            Shot(
                row["role"],
                int(row["stage"]),
                row["part"],
                row["label"],
                images / row["image"],
                images / row["mask"] if row["mask"] else None,
            )
            for row in csv.DictReader(text)
        ]


def load(shot: Shot, size_px: int) -> npt.NDArray[np.uint8]:
    """The shot's image (size_px, size_px, 3) as the daemon decodes it."""
    return decode(shot.image.read_bytes(), size_px, MAX_PIXELS)


def mask(shot: Shot, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The shot's defect mask (rows, columns) in that shape; all false for a good part."""
    if shot.mask is None:
        return np.zeros(shape, dtype=bool)
    grey = cv2.imread(str(shot.mask), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, shape[::-1], interpolation=cv2.INTER_AREA) > 127
