"""An exported file beside what exported it: the largest difference of their scores."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memory.exported.model import ExportedModel
from memory.features import Image

GRID = (32, 32)


def row(name: str, file: Path, images: Image, own: npt.NDArray[np.float64]) -> str:
    """A row of the table: images (N, H, W, 3) u8 scored from the file, beside the model's own scores (N,)."""
    model = ExportedModel(file, 1)
    started = time.perf_counter()
    found = model(images, GRID).max(axis=1)
    image_ms = 1000 * (time.perf_counter() - started) / len(images)
    apart = float((np.abs(found - own) / np.abs(own)).max())
    return f"| {name} | {file.suffix} | {len(images)} | {apart:.1e} | {image_ms:.0f} |"
