"""A version's geometry: the size of its images, their region of interest, and the canvas on which they are judged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from memory.depth import DepthWindow
from memory.errors import DriftlineError
from memory.region import Inside, Region
from memory.tiles import tile_side

MAJORITY = 0.8
PATCHES_PER_DEFECT = 3
MOST_SQUARES = 4  # of the network's input in a canvas whose scale nobody chose
LEAST_TIMES = 2  # the canvas: what is decoded smaller is still averaged over areas, as a whole image is
WHOLE_IMAGE = Region()
Size = tuple[int, int]  # rows and columns, or height and width in pixels


class GeometryError(DriftlineError):
    """An image that does not have the geometry of the version, or images that make none."""


@dataclass(frozen=True)
class InputShapes:
    """The shapes that a backbone takes: `stride_px` is the side of a patch, `multiple_px` what the sides of its input
    are multiples of, `input_px` its usual side, whose square it divides into the patches of `own_grid` (rows, columns);
    `fixed` networks take that square alone."""

    stride_px: int
    multiple_px: int
    input_px: int
    own_grid: Size
    fixed: bool

    @property
    def even(self) -> bool:
        """Whether a patch lies where its share of the image does, in all images that the network takes."""
        return not self.fixed or self.own_grid == (self.input_px // self.stride_px,) * 2


@dataclass(frozen=True)
class Geometry:
    """The geometry that all images of a version have.

    Sizes are (height, width) in pixels. `image_px` is the size of upright images, None where the taught ones had many
    sizes and any is taken. Each is resampled to the `canvas_px`, which is judged in tiles of `tile_px`; `bits` is the
    intensity window of images whose files do not state one, None where all of them do; `depth` is that of heights
    beside the colours, None where only colours are judged. JPEGs of images that are much larger than the canvas are
    decoded smaller, by `shrink`: 2, 4 or 8; 1 in versions that do not state it; those of many sizes to any size that is
    not below the canvas. Versions that state no geometry are not `anti_aliased` along each axis of its own. All judge
    as they were taught.
    """

    image_px: Size | None
    canvas_px: Size
    tile_px: Size
    bits: int | None = None
    region: Region = WHOLE_IMAGE
    anti_aliased: bool = True
    depth: DepthWindow | None = None
    shrink: int = 1

    @classmethod
    def squeezed(cls, input_px: int) -> Geometry:
        """The geometry of versions that state none: any image, squeezed to a square."""
        return cls(None, (input_px, input_px), (input_px, input_px), anti_aliased=False)

    @classmethod
    def of(cls, record: Mapping[str, Any], input_px: int) -> Geometry:
        """The geometry that `to_json` wrote; that of older versions where it is empty."""
        if not record:
            return cls.squeezed(input_px)
        image_px = None if record["image"] is None else _size(record["image"])
        return cls(
            image_px,
            _size(record["canvas"]),
            _size(record["tile"]),
            record["bits"],
            Region.of(record["region"]),
            depth=DepthWindow.of(record["depth"]) if "depth" in record else None,
            shrink=int(record.get("shrink", 1)),
        )

    def to_json(self) -> dict[str, Any]:
        """The geometry as JSON for the manifest."""
        return {
            "image": list(self.image_px) if self.image_px else None,
            "canvas": list(self.canvas_px),
            "tile": list(self.tile_px),
            "bits": self.bits,
            "region": self.region.to_json(),
            **({"depth": self.depth.to_json()} if self.depth else {}),
            **({"shrink": self.shrink} if self.shrink > 1 else {}),
        }

    @property
    def channels(self) -> int:
        """The channels of an image on the canvas: colours, and the picture of depth where that is judged."""
        return 3 if self.depth is None else 6

    @property
    def least_px(self) -> Size | None:
        """The least size (width, height) to which a JPEG may be decoded; None for its own."""
        if self.image_px is None:
            return self.canvas_px[1], self.canvas_px[0]
        return None if self.shrink == 1 else (self.image_px[1] // self.shrink, self.image_px[0] // self.shrink)

    @property
    def forgiving(self) -> Geometry:
        """The same for images that were judged before: however much of their depth is missing."""
        return self if self.depth is None else replace(self, depth=replace(self.depth, missing=1.0))

    @property
    def depth_weight(self) -> float:
        """By how much the features of depth count (`DepthWindow`); 1 where only colours are judged."""
        return 1.0 if self.depth is None else self.depth.weight

    @property
    def scale(self) -> float | None:
        """How many pixels of the canvas there are for one of the image; None where images have many sizes."""
        return None if self.image_px is None else math.sqrt(math.prod(self.canvas_px) / math.prod(self.image_px))

    def inside(self) -> Inside | None:
        """The pixels (H, W) of the canvas in the region; None where it is the whole image."""
        return None if self.region.everything else _inside(self.region, self.canvas_px)

    def check(self, height_px: int, width_px: int) -> None:
        """Raises GeometryError for an image of another size."""
        if self.image_px not in {None, (height_px, width_px)}:
            assert self.image_px is not None  # noqa: S101  # None is in the set
            raise GeometryError(
                expected=f"images of {_text(self.image_px)}, as taught",
                came=_text((height_px, width_px)),
                do="set the camera as it was, or teach again from its new images",
            )


@lru_cache(maxsize=8)
def _inside(region: Region, canvas_px: Size) -> Inside:
    return region.inside(*canvas_px)


def same_canvas(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether an image lies alike on the canvases of two recorded geometries: what is decoded smaller differs by less
    than a JPEG from its image."""
    first, second = ({name: value for name, value in each.items() if name != "shrink"} for each in (one, other))
    return first == second


def common_size(sizes: Sequence[Size]) -> Size | None:
    """The size that at least `MAJORITY` of images have; None where there is none."""
    size, count = Counter(sizes).most_common(1)[0]
    return size if count >= MAJORITY * len(sizes) else None


def geometry_of(
    sizes: Sequence[Size],
    shapes: InputShapes,
    region: Region,
    bits: int | None,
    scale: float | None = None,
    smallest_defect_px: float | None = None,
) -> Geometry:
    """The geometry for taught images of these upright sizes (height, width).

    `scale` is how many pixels of the canvas there are for one of the image. Where it is None, the shorter side becomes
    as long as the network's input, in a canvas of at most `MOST_SQUARES` of its squares; finer where the smallest
    defect that must be found asks for it (`scale_for`). Aspect is kept, but for the rounding to whole cells of
    the network. Raises GeometryError where the region holds no patch of it, the defect is larger than the image, or the
    network's patches lie unevenly in it.
    """
    if not shapes.even:
        raise GeometryError(
            expected=f"a network that divides its image into patches of {shapes.stride_px} px",
            came=f"{shapes.own_grid[0]} rows of patches in {shapes.input_px} px: its convolutions have no margins",
            do="choose another extractor.model",
        )
    image_px = common_size(sizes)
    height, width = image_px or (int(np.median([size[0] for size in sizes])), int(np.median([s[1] for s in sizes])))
    if smallest_defect_px is not None and not 0 < smallest_defect_px <= min(height, width):
        raise GeometryError(
            expected=f"a smallest defect above 0 and at most {min(height, width)} px, the images' shorter side",
            came=f"{smallest_defect_px:g} px",
            do="name the shorter side of the smallest defect to find, in pixels of the image",
        )
    if scale is None:
        most = math.sqrt(MOST_SQUARES * shapes.input_px**2 / (height * width))
        scale = min(shapes.input_px / min(height, width), most)
        if smallest_defect_px is not None:
            scale = max(scale, scale_for(smallest_defect_px, shapes.stride_px))
    canvas = (_rounded(height * scale, shapes), _rounded(width * scale, shapes))
    tile = (_tile(canvas[0], shapes), _tile(canvas[1], shapes))
    geometry = Geometry(image_px, canvas, tile, bits, region, shrink=_shrink(image_px, canvas) if image_px else 1)
    inside = geometry.inside()
    if inside is not None and not cells_inside(inside, shapes.stride_px).any():
        raise GeometryError(
            expected=f"a region of at least one patch, {shapes.stride_px / scale:.0f} px a side",
            came="a smaller or empty one",
            do="draw a larger region, or ignore less",
        )
    return geometry


def scale_for(smallest_defect_px: float, stride_px: int) -> float:
    """The scale at which a square defect of that side has the area of `PATCHES_PER_DEFECT` patches; never above 1."""
    return min(math.sqrt(PATCHES_PER_DEFECT) * stride_px / smallest_defect_px, 1.0)


def defect_px_at(scale: float, stride_px: int) -> float:
    """The side of the smallest defect for which `scale_for` asks for this scale, in (0, 1]."""
    return math.sqrt(PATCHES_PER_DEFECT) * stride_px / scale


def cells_inside(inside: Inside, stride_px: int) -> Inside:
    """The cells (rows, columns) of a grid of patches at least half of whose pixels are `inside` (H, W)."""
    rows, columns = inside.shape[0] // stride_px, inside.shape[1] // stride_px
    parted = inside[: rows * stride_px, : columns * stride_px].reshape(rows, stride_px, columns, stride_px)
    covered: Inside = parted.mean(axis=(1, 3)) >= 0.5  # (rows, stride, columns, stride) -> (rows, columns)
    return covered


def _shrink(image_px: Size, canvas_px: Size) -> int:
    """By how much JPEGs may be decoded smaller: libjpeg knows these, and rounds up what it cannot divide, by which all
    that is in the image would move."""
    sides = list(zip(image_px, canvas_px, strict=True))
    fits = (by for by in (8, 4, 2) if all(side % by == 0 and side >= by * LEAST_TIMES * to for side, to in sides))
    return next(fits, 1)


def _rounded(side_px: float, shapes: InputShapes) -> int:
    least = shapes.input_px if shapes.fixed else shapes.multiple_px
    return max(round(side_px / shapes.multiple_px) * shapes.multiple_px, least)


def _tile(side_px: int, shapes: InputShapes) -> int:
    return shapes.input_px if shapes.fixed else tile_side(side_px, shapes.multiple_px)


def _size(value: Sequence[int]) -> Size:
    height, width = value
    return int(height), int(width)


def _text(size: Size) -> str:
    return f"{size[1]}×{size[0]} px"
