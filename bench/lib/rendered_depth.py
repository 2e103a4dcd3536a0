"""Rendered parts with a height for each pixel: a milled plate with a ring and four holes. Its colours show its surface
and one printed circle, and no height.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image

SIZE_PX = 256
PLATE_PX, HOLES_PX, HOLE_PX = 100, 75, 9
GROUND_MM, NOISE_MM = 50.0, 0.05
RUST = np.array([0.1, 0.45, 0.7], dtype=np.float32)  # the share of each colour that it swallows
LOST, LOST_AT_EDGES, EDGE = 0.005, 0.3, 0.35  # shares of pixels; an edge is steeper than so many mm a pixel

Heights = npt.NDArray[np.float32]


class Fault(StrEnum):
    """What may be wrong with a part: its heights, or, for the last, its colour alone."""

    DENT = "dent"
    BUMP = "bump"
    GROOVE = "groove"
    WARP = "warp"
    NO_HOLE = "no hole"
    STAIN = "stain"


@dataclass(frozen=True)
class Lying:
    """How a part lies: for each pixel its place on the part, right and down from the middle (256, 256), in pixels."""

    right: Heights
    down: Heights

    def from_middle(self, right_px: float = 0.0, down_px: float = 0.0) -> Heights:
        """How far each pixel is from a place on the part."""
        return np.hypot(self.right - right_px, self.down - down_px)


def part(number: int, fault: Fault | None = None) -> tuple[Image, Heights]:
    """The colours (256, 256, 3) u8 of part `number` and its heights (256, 256) f32 in mm, 0 where none was measured."""
    rng, of_fault = np.random.default_rng(number), np.random.default_rng((number, 1))
    lying = _lying(rng)
    heights = _whole(lying, of_fault if fault is Fault.NO_HOLE else None)
    tilt = rng.uniform(-0.3, 0.3, 2)
    heights += (lying.right * tilt[0] + lying.down * tilt[1]) / (SIZE_PX / 2)
    colours = _surface(lying, rng)
    if fault is Fault.STAIN:
        there = np.exp(-((_somewhere(lying, of_fault) / of_fault.uniform(4, 9)) ** 2))
        colours = colours * (1 - there[..., None] * RUST)
    elif fault in CHANGES:
        heights += CHANGES[fault](lying, of_fault)
    return _photographed(colours, rng), _measured(heights, rng)


def _lying(rng: np.random.Generator) -> Lying:
    """Shifted by up to 3 px and turned by up to 2°."""
    down, right = np.mgrid[0:SIZE_PX, 0:SIZE_PX].astype(np.float32) - SIZE_PX / 2
    by, turn = rng.uniform(-3, 3, 2), np.deg2rad(rng.uniform(-2, 2))
    right, down = right - by[0], down - by[1]
    return Lying(np.cos(turn) * right + np.sin(turn) * down, np.cos(turn) * down - np.sin(turn) * right)


def _whole(lying: Lying, missing: np.random.Generator | None) -> Heights:
    """The heights of a good part, or of one in which one of the holes is missing."""
    edge = np.maximum(np.abs(lying.right), np.abs(lying.down))
    middle = lying.from_middle()
    heights = GROUND_MM + 6 * _step(PLATE_PX - edge) + 4 * _step(45 - middle) - 3 * _step(25 - middle)
    holes = [(right, down) for right in (-HOLES_PX, HOLES_PX) for down in (-HOLES_PX, HOLES_PX)]
    if missing is not None:
        holes.pop(int(missing.integers(len(holes))))
    for right, down in holes:
        heights = heights - 4 * _step(HOLE_PX - lying.from_middle(right, down))
    return heights


def _step(inside_px: Heights) -> Heights:
    """1 inside and 0 outside of an edge that is some pixels wide."""
    return 1 / (1 + np.exp(-inside_px / 2))


def _somewhere(lying: Lying, rng: np.random.Generator) -> Heights:
    """How far each pixel is from a place on the plate."""
    right, down = rng.uniform(-PLATE_PX + 15, PLATE_PX - 15, 2)
    return lying.from_middle(right, down)


def _dent(lying: Lying, rng: np.random.Generator) -> Heights:
    return -_bump(lying, rng)


def _bump(lying: Lying, rng: np.random.Generator) -> Heights:
    return rng.uniform(0.4, 1.0) * np.exp(-((_somewhere(lying, rng) / rng.uniform(4, 9)) ** 2))


def _groove(lying: Lying, rng: np.random.Generator) -> Heights:
    right, down = rng.uniform(-PLATE_PX + 25, PLATE_PX - 25, 2)
    angle = rng.uniform(0, np.pi)
    along = (lying.right - right) * np.cos(angle) + (lying.down - down) * np.sin(angle)
    across = (lying.down - down) * np.cos(angle) - (lying.right - right) * np.sin(angle)
    return -rng.uniform(0.4, 1.0) * np.exp(-((across / 2) ** 2)) * (np.abs(along) < 20)


def _warp(lying: Lying, rng: np.random.Generator) -> Heights:
    right, down = rng.choice([-PLATE_PX, PLATE_PX], 2)
    return rng.uniform(1.0, 2.0) * np.exp(-((lying.from_middle(right, down) / 50) ** 2))


CHANGES: dict[Fault, Callable[[Lying, np.random.Generator], Heights]] = {
    Fault.DENT: _dent,
    Fault.BUMP: _bump,
    Fault.GROOVE: _groove,
    Fault.WARP: _warp,
}


def _surface(lying: Lying, rng: np.random.Generator) -> Heights:
    """Grain as of brushed metal, another on each part, and a printed circle."""
    colours = np.full((SIZE_PX, SIZE_PX, 3), (0.55, 0.5, 0.45), dtype=np.float32)
    for strength, grain_px in ((0.05, 1.2), (0.03, 6.0)):
        grain = cv2.GaussianBlur(rng.normal(size=(SIZE_PX, SIZE_PX)).astype(np.float32), (0, 0), grain_px)
        colours += strength * (grain / grain.std())[..., None]
    circle = np.abs(lying.from_middle() - 60) < 1
    return colours * (1 - 0.25 * circle[..., None]).astype(np.float32)


def _photographed(colours: Heights, rng: np.random.Generator) -> Image:
    seen = colours * rng.uniform(0.97, 1.03) + rng.normal(0, 0.01, colours.shape)
    return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)


def _measured(heights: Heights, rng: np.random.Generator) -> Heights:
    """With the sensor's noise; some pixels are lost, at edges many."""
    steep = np.hypot(*np.gradient(heights)) > EDGE
    lost = rng.random(heights.shape) < np.where(steep, LOST_AT_EDGES, LOST)
    return np.where(lost, 0, heights + rng.normal(0, NOISE_MM, heights.shape)).astype(np.float32)
