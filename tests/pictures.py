"""Rendered parts as the tests use them: as small files, and as features of plain colours."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from memory.features import Features, Image

INPUT_PX = 64


@cache
def png(number: int, scene: Scene = STEADY, flaw: Flaw | None = None) -> bytes:
    """A small rendered part as PNG bytes."""
    small = cv2.resize(part(number, scene, flaw), (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", small[:, :, ::-1])[1].tobytes()


def material_of(image: Image) -> Features:
    """Plain colour statistics of 16 px cells, 256 patches of 6 numbers, stand in for a backbone's."""
    cells = image.reshape(16, 16, 16, 16, 3).astype(np.float32)  # (H, W, 3) -> (rows, y, columns, x, 3)
    statistics = np.concatenate([cells.mean(axis=(1, 3)), cells.std(axis=(1, 3))], axis=-1)
    return Features(statistics.reshape(-1, 6) / 64, (16, 16))  # (rows, columns, 6) -> (P, 6)
