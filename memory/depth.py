"""Depth: a registered map of heights as a picture that the backbone sees beside the colours.

After Horwitz and Hoshen, "Back to the Feature: Classical 3D Features are (Almost) All You Need for 3D Anomaly
Detection", CVPR workshops 2023 (BTF), whose patches join features of colour and of depth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from memory.distances import nearest_squared
from memory.errors import DriftlineError
from memory.features import LEVEL, STEEPEST, Image, Patches, by_threes, slopes_turned

ENDS = (0.001, 0.999)  # of a part's heights: single wrong ones must not open the window
MARGIN = 0.1  # of the taught heights' range, below and above
FAR_TIMES = 3.0
ALIKE = 1.5
SMOOTHED_PX = 2.0  # of the canvas: slopes are differences, in which a sensor's noise would count most
STEEP = 0.5  # the share of the taught parts' slopes that are flatter than the window's own
FAR, MOST_COMPARED, MOST_DOUBLINGS = 0.99, 1024, 4  # of distances and patches; a weight is at most 16, at least 1/16
MORE_MISSING = 0.2  # than ever taught, as a share of all pixels, is told instead of judged

HeightMap = npt.NDArray[np.float32]


class NoDepth(DriftlineError):
    """No map of heights to make a window of."""


@dataclass(frozen=True, eq=False)
class Heights:
    """The heights (H, W) f32 of a canvas's pixels, in the unit of the file, filled where nothing was measured; and
    which share of them was `missing`."""

    values: HeightMap
    missing: float


@dataclass(frozen=True)
class DepthWindow:
    """What a version sees of depth: heights from `low` to `high`, slopes by how they compare with `slope` (heights a
    pixel of the canvas), and parts of which at most a share `missing` was not measured. By `weight` its features are
    multiplied, so that good parts vary as much in them as in those of their colours (`balance`)."""

    low: float
    high: float
    slope: float
    missing: float
    weight: float = 1.0

    @classmethod
    def of(cls, record: Mapping[str, float]) -> DepthWindow:
        """The window that `to_json` wrote."""
        return cls(**{each.name: float(record[each.name]) for each in fields(cls)})

    def holds(self, other: DepthWindow) -> bool:
        """Whether parts of another window are seen as well by this one: they lie within it, miss no more, and are about
        as high and as steep."""
        within = self.low <= other.low and other.high <= self.high and other.missing <= self.missing
        within = within and self.high - self.low <= ALIKE * (other.high - other.low)
        return within and 1 / ALIKE <= other.slope / self.slope <= ALIKE

    def to_json(self) -> dict[str, Any]:
        """The window as JSON for the manifest."""
        return asdict(self)

    def picture(self, heights: Heights) -> Image:
        """A picture (H, W, 3) u8 of heights: how high, and how steep to the right and downwards.

        The latter are the first two parts of the surface's unit normal where `slope` is one, turned round, so that the
        steepest edge leaves room for the flattest dent. What lies beyond the window is drawn at its end.
        """
        level = 255 * (heights.values - self.low) / (self.high - self.low)
        right, down = _slopes(heights.values)
        length = np.sqrt(right**2 + down**2 + self.slope**2)
        channels = [level, *(LEVEL + STEEPEST * slope / length for slope in (right, down))]
        return np.stack([np.clip(np.rint(each), 0, 255).astype(np.uint8) for each in channels], axis=2)


@dataclass(frozen=True)
class Measured:
    """The lowest and the highest height of a taught part, but for single pixels, how steep its median slope is, and
    which share of it is missing."""

    low: float
    high: float
    slope: float
    missing: float

    @classmethod
    def of(cls, heights: Heights) -> Measured:
        """What a part's heights tell."""
        low, high = np.quantile(heights.values, ENDS).tolist()
        return cls(low, high, float(np.quantile(np.hypot(*_slopes(heights.values)), STEEP)), heights.missing)


def odd(taught: Sequence[Measured]) -> list[int]:
    """The taught parts, by their places, whose heights lie far from those of the others: by more than what the parts
    span and vary by. They would open the window so wide that nothing is seen of the others."""
    if not taught:
        return []
    ends = np.array([(part.low, part.high) for part in taught])  # (n, 2)
    away = np.abs(ends - np.median(ends, axis=0))
    allowed = FAR_TIMES * (np.median(ends[:, 1] - ends[:, 0]) + np.median(away, axis=0))
    return [int(place) for place in np.flatnonzero((away > allowed).any(axis=1))]


def window_of(taught: Sequence[Measured]) -> DepthWindow:
    """The window of taught parts, at least one, without those that are `odd`."""
    without = set(odd(taught))
    parts = [part for place, part in enumerate(taught) if place not in without]
    lowest, highest = min(part.low for part in parts), max(part.high for part in parts)
    span = highest - lowest or 1.0
    slope = max(float(np.median([part.slope for part in parts])), span / 1000)  # of a flat part
    missing = max(part.missing for part in parts)
    return DepthWindow(lowest - MARGIN * span, highest + MARGIN * span, slope, min(missing + MORE_MISSING, 1.0))


def balance(parts: Sequence[Patches]) -> float:
    """The weight of depth's features by patches (n, D) of good parts, whose first half is of colours: how much farther
    a patch lies from its nearest of the next part by colours than by depth, where it lies far. A power of two, so
    that digits stay; 1 for fewer than two parts, or where nothing varies."""
    ratios = []
    for one, other in pairwise(parts):
        some = one[:: math.ceil(len(one) / MOST_COMPARED)]
        by_colours, by_depth = (
            math.sqrt(np.quantile(nearest_squared(mine, others), FAR))
            for mine, others in zip(np.split(some, 2, axis=1), np.split(other, 2, axis=1), strict=True)
        )
        if by_colours and by_depth:
            ratios.append(by_colours / by_depth)
    if not ratios:
        return 1.0
    return 2.0 ** max(min(round(math.log2(np.median(ratios))), MOST_DOUBLINGS), -MOST_DOUBLINGS)


def turned(image: Image, anticlockwise_deg: float) -> Image:
    """An image (H, W, 3 or 6) u8 turned about its middle; what comes into view mirrors the border."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), anticlockwise_deg, 1.0)

    def of_three(three: Image) -> npt.NDArray[Any]:
        return cv2.warpAffine(three, turn, (width, height), borderMode=cv2.BORDER_REFLECT)

    return slopes_turned(by_threes(of_three, image), -anticlockwise_deg)


def filled(values: HeightMap) -> HeightMap:
    """Heights (H, W) with the nearest known one wherever there is none (NaN); all are 0 where none is known."""
    unknown = np.isnan(values)
    if not unknown.any() or unknown.all():
        return np.nan_to_num(values)
    _, nearest = cv2.distanceTransformWithLabels(
        unknown.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    known = np.empty(int(nearest.max()) + 1, dtype=np.float32)
    known[nearest[~unknown]] = values[~unknown]
    whole: HeightMap = known[nearest]
    return whole


def _slopes(values: HeightMap) -> tuple[HeightMap, HeightMap]:
    """How much higher the next pixel (H, W) to the right and downwards lies."""
    smooth = cv2.GaussianBlur(values, (0, 0), SMOOTHED_PX)
    right, down = (cv2.Sobel(smooth, cv2.CV_32F, x, 1 - x, scale=1 / 8) for x in (1, 0))
    return right.astype(np.float32, copy=False), down.astype(np.float32, copy=False)
