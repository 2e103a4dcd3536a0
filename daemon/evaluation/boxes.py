"""mAP of boxes: what an anomaly map boxes in, against the boxes that people drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from daemon.ledger.records import Box

OVERLAPS = tuple(share / 100 for share in range(50, 100, 5))  # as COCO's mAP
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class FoundBox:
    """A box as shares of the image, with how anomalous it is."""

    box: Box
    score: float


def boxed(anomaly: npt.NDArray[np.float32], cut: float) -> tuple[FoundBox, ...]:
    """A box around each connected region of an anomaly map (H, W) above the cut, as anomalous as its largest value."""
    height, width = anomaly.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats((anomaly > cut).astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        left, top, across, down = (int(side) for side in stats[number, :4])
        box = (left / width, top / height, (left + across) / width, (top + down) / height)
        found.append(FoundBox(box, float(anomaly[labels == number].max())))
    return tuple(found)


def mean_average_precision(found: Sequence[Sequence[FoundBox]], drawn: Sequence[Sequence[Box]]) -> float | None:
    """The mean average precision of the boxes found in images against those drawn there, over `OVERLAPS`, whatever
    their kinds; None where none was drawn.

    As COCO (Lin et al., "Microsoft COCO", ECCV 2014; pycocotools): image by image the surest box comes first and takes
    the box that it overlaps most of those not taken; precision is the best at that recall or a larger one, averaged
    over 101 recalls.
    """
    count = sum(map(len, drawn))
    if not count:
        return None
    precisions = [_average_precision(found, drawn, least, count) for least in OVERLAPS]
    return float(np.mean(precisions))


def _average_precision(
    found: Sequence[Sequence[FoundBox]], drawn: Sequence[Sequence[Box]], least: float, count: int
) -> float:
    scores, right = [], []
    for boxes, truth in zip(found, drawn, strict=True):
        left = list(truth)
        for one in sorted(boxes, key=lambda each: -each.score):
            best = max(left, key=lambda each, seen=one.box: overlap(seen, each), default=None)  # type: ignore[misc]
            scores.append(one.score)
            if best is None or overlap(one.box, best) < least:
                right.append(False)
            else:
                right.append(True)
                left.remove(best)
    order = np.argsort(-np.array(scores), kind="stable")
    hits = np.cumsum(np.array(right, dtype=bool)[order])
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(hits / count, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    across = max(min(one[2], other[2]) - max(one[0], other[0]), 0.0)
    down = max(min(one[3], other[3]) - max(one[1], other[1]), 0.0)
    both = across * down
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)
