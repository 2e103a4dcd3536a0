"""The region of interest: polygons in an image inside which a part is judged, and others inside which it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memory.errors import DriftlineError

if TYPE_CHECKING:
    from memory.version import Version

LEAST_POINTS, MOST_POINTS = 3, 64
MOST_POLYGONS = 64
Point = tuple[float, float]
Polygon = tuple[Point, ...]
Inside = npt.NDArray[np.bool_]


class RegionRejected(DriftlineError):
    """Polygons that are no region of interest."""


@dataclass(frozen=True)
class Region:
    """A region of interest: what lies in one of the polygons `include`, in the whole image where there are none, and in
    none of the polygons `ignore`.

    A polygon is 3 to 64 points (x, y) in shares of the upright image, from (0, 0) at its top left to (1, 1); it is
    closed by itself and its edges do not cross. Raises RegionRejected for others.
    """

    include: tuple[Polygon, ...] = ()
    ignore: tuple[Polygon, ...] = ()

    def __post_init__(self) -> None:
        if len(self.include) + len(self.ignore) > MOST_POLYGONS:
            raise _rejected(f"at most {MOST_POLYGONS} polygons", f"{len(self.include) + len(self.ignore)}")
        for polygon in (*self.include, *self.ignore):
            _check(polygon)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Region:
        """The region that `to_json` wrote, or an engineer. Raises RegionRejected for anything else."""
        if not isinstance(record, Mapping) or set(record) - {"include", "ignore"}:
            raise _rejected("the keys include and ignore", repr(record)[:80])
        return cls(*(tuple(_polygon(p) for p in _listed(record.get(key, []))) for key in ("include", "ignore")))

    def to_json(self) -> dict[str, Any]:
        """The region as JSON, by `include` and `ignore`; empty where it is the whole image."""
        named = (("include", self.include), ("ignore", self.ignore))
        return {
            name: [[list(point) for point in polygon] for polygon in polygons] for name, polygons in named if polygons
        }

    @property
    def everything(self) -> bool:
        """Whether it is the whole image."""
        return not (self.include or self.ignore)

    def inside(self, height_px: int, width_px: int) -> Inside:
        """Which pixels (H, W) of an image of that size lie in the region: those whose centres do."""
        mask = np.full((height_px, width_px), not self.include)
        for polygon in self.include:
            mask |= _filled(polygon, height_px, width_px)
        for polygon in self.ignore:
            mask &= ~_filled(polygon, height_px, width_px)
        return mask


def region_of(version: Version) -> Region:
    """The region in which a version judges; the whole image where its manifest names none."""
    return Region.of(version.geometry.get("region", {}))


def _filled(polygon: Polygon, height_px: int, width_px: int) -> Inside:
    """Which pixels' centres lie in the polygon, by the parity of the edges to their left."""
    points = np.array(polygon) * (width_px, height_px) - 0.5  # a pixel's centre is at its whole number
    crossed = np.zeros((height_px, width_px + 1), dtype=np.uint8)
    rows = np.arange(height_px)
    for (x, y), (u, v) in zip(points, np.roll(points, -1, axis=0), strict=True):
        hit = rows[(y <= rows) != (v <= rows)]
        columns = np.ceil(x + (hit - y) * (u - x) / (v - y)) if len(hit) else hit
        crossed[hit, np.clip(columns, 0, width_px).astype(np.int64)] ^= 1
    return np.bitwise_xor.accumulate(crossed[:, :width_px], axis=1).astype(bool)


def _check(polygon: Polygon) -> None:
    if not LEAST_POINTS <= len(polygon) <= MOST_POINTS:
        raise _rejected(f"polygons of {LEAST_POINTS} to {MOST_POINTS} points", f"{len(polygon)} points")
    if not all(0 <= x <= 1 and 0 <= y <= 1 for x, y in polygon):  # not-a-number is neither
        raise _rejected("points inside the image, in shares from 0 to 1", repr(polygon)[:80])
    edges = [(polygon[i], polygon[(i + 1) % len(polygon)]) for i in range(len(polygon))]
    if any(_cross(*one, *other) for one, other in combinations(edges, 2)):
        raise _rejected("polygons whose edges do not cross", repr(polygon)[:80])
    if abs(sum(x * v - u * y for (x, y), (u, v) in edges)) == 0:
        raise _rejected("polygons with an area", repr(polygon)[:80])


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the open segments from a to b and from c to d cross."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, point: Point) -> float:
    return float(np.sign((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])))


def _listed(value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise _rejected("a list of polygons", repr(value)[:80])
    return value


def _polygon(value: object) -> Polygon:
    points = _listed(value)
    for point in points:
        numbers = isinstance(point, list | tuple) and len(point) == 2
        if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in point):
            raise _rejected("points [x, y]", repr(point)[:80])
    try:
        return tuple((float(x), float(y)) for x, y in points)
    except OverflowError as error:  # JSON has whole numbers of any length
        raise _rejected("points inside the image, in shares from 0 to 1", "a number beyond all floats") from error


def _rejected(expected: str, came: str) -> RegionRejected:
    return RegionRejected(expected=expected, came=came, do="draw the region again")
