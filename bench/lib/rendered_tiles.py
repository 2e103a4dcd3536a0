"""A protocol like the tiles' of rendered parts, small enough for a run of seconds and drawn where it is wanted."""

from __future__ import annotations

import csv
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from daemon.datasets.rendered import Flaw, Scene, part

LIGHT = {1: 1.0, 2: 1.2, 3: 0.85, 4: 1.1, 5: 0.8, 6: 0.95}
SETUP, STREAM_GOODS, STREAM_DEFECTS, PROBE_GOODS = 8, 2, 2, 3  # the last three a stage
COLUMNS = ("role", "stage", "part", "label", "image", "mask")


def write(folder: Path, seed: int, order: str) -> Path:
    """Draw the protocol of a seed and an order of exposures below `folder`; its file, whose rows name images there.

    As on the tiles, no part has two roles, probes are the same parts in every stage, and setup has the first exposure.
    """
    numbers, flaws = iter(range(1000 * (seed % 1000), 1000 * (seed % 1000 + 1))), cycle(Flaw)
    probes: list[tuple[int, Flaw | None]] = [(next(numbers), None) for _ in range(PROBE_GOODS)]
    probes += [(next(numbers), flaw) for flaw in Flaw]
    table = [_row(folder, "setup", 1, int(order[0]), next(numbers), None) for _ in range(SETUP)]
    for stage, exposure in enumerate(map(int, order), start=1):
        stream: list[tuple[int, Flaw | None]] = [(next(numbers), None) for _ in range(STREAM_GOODS)]
        stream += [(next(numbers), next(flaws)) for _ in range(STREAM_DEFECTS)]
        table += [_row(folder, "stream", stage, exposure, number, flaw) for number, flaw in stream]
        table += [_row(folder, "probe", stage, exposure, number, flaw) for number, flaw in probes]
    path = folder / f"stream-{seed}-{order}.csv"
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows(table)
    return path


def _row(folder: Path, role: str, stage: int, exposure: int, number: int, flaw: Flaw | None) -> tuple[object, ...]:
    """One row, its image and mask drawn where they are missing."""
    image, mask = f"exp{exposure}_num_{number}.jpg", f"exp{exposure}_num_{number}.png" if flaw else ""
    if not (folder / image).exists():
        scene = Scene(light=LIGHT[exposure])
        pixels = part(number, scene, flaw)
        cv2.imwrite(str(folder / image), pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        if flaw:
            changed = np.abs(pixels.astype(int) - part(number, scene)).max(axis=2) > 8
            cv2.imwrite(str(folder / mask), changed.astype(np.uint8) * 255)
    return role, stage, number, str(flaw) if flaw else "good", image, mask
