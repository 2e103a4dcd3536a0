"""Five rendered lines that nobody tunes on by eye: fabric, caps, boards, castings and wood, each with four defects."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image

Canvas = npt.NDArray[np.float32]
Draw = Callable[[np.random.Generator, str | None], Canvas]
SIDE_PX = 320
NOISE = 0.01


@dataclass(frozen=True)
class RenderedLine:
    """A line whose `draw` gives a part (H, W, 3) in [0, 1], good or with one of its `flaws`."""

    name: str
    flaws: tuple[str, ...]
    draw: Draw

    def part(self, number: int, flaw: str | None = None) -> Image:
        """The image (H, W, 3) u8 of part `number`: the same arguments give the same pixels."""
        rng = np.random.default_rng((number, len(self.name)))
        seen = self.draw(rng, flaw) * rng.normal(1.0, 0.02)
        noisy = seen + rng.normal(0, NOISE, seen.shape)
        return np.clip(np.rint(noisy * 255), 0, 255).astype(np.uint8)


def _fabric(rng: np.random.Generator, flaw: str | None) -> Canvas:
    """A plain weave of two colours."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    pitch = 9.0 + rng.normal(0, 0.15)
    bend = 2.5 * np.sin(y / 90 + rng.uniform(0, 6))
    warp, weft = np.sin((x + bend) * math.pi / pitch), np.sin((y + rng.uniform(0, 9)) * math.pi / pitch)
    over = (warp * weft > 0).astype(np.float32)
    depth = 0.5 + 0.5 * np.where(over > 0, np.abs(warp), np.abs(weft))
    if flaw == "float":  # a weft thread runs over several warps
        row, left = _place(rng)
        over[row : row + 9, left : left + 55] = 0
    colours = np.where(over[:, :, None] > 0, (0.55, 0.48, 0.38), (0.42, 0.45, 0.52)).astype(np.float32)
    cloth: Canvas = (colours * (0.6 + 0.4 * depth[:, :, None])).astype(np.float32)
    if flaw == "gap":  # a thread is missing
        column = _place(rng)[1]
        cloth[:, column : column + 5] *= 0.55
    elif flaw == "slub":  # a thread is thick
        row, left = _place(rng)
        cv2.ellipse(cloth, (left, row), (26, 5), 0, 0, 360, (0.62, 0.57, 0.5), -1, cv2.LINE_AA)
    elif flaw == "oil":
        _stain(cloth, rng, 0.75, 22)
    return cloth


def _cap(rng: np.random.Generator, flaw: str | None) -> Canvas:
    """A printed bottle cap, turned a little, in white light that is never quite the same."""
    cap = np.full((SIDE_PX, SIDE_PX, 3), (0.75, 0.76, 0.78), dtype=np.float32)
    centre = (SIDE_PX // 2, SIDE_PX // 2)
    cv2.circle(cap, centre, 130, (0.72, 0.12, 0.1), -1, cv2.LINE_AA)
    cv2.circle(cap, centre, 104, (0.82, 0.2, 0.16), 2, cv2.LINE_AA)
    for notch in range(24):
        angle = notch * math.pi / 12
        at = (int(160 + 124 * math.cos(angle)), int(160 + 124 * math.sin(angle)))
        cv2.circle(cap, at, 4, (0.5, 0.08, 0.07), -1, cv2.LINE_AA)
    letters = "DRIFT" if flaw != "letter" else "DRI T"
    print_on = np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint8)  # OpenCV 5 writes on eight bits alone
    cv2.putText(print_on, letters, (78, 172), cv2.FONT_HERSHEY_DUPLEX, 1.55, 255, 3, cv2.LINE_AA)
    cap += (print_on[:, :, None] / np.float32(255)) * (np.array((0.95, 0.93, 0.9), dtype=np.float32) - cap)
    if flaw == "smear":
        cv2.ellipse(cap, _spot(rng, 60), (24, 4), rng.uniform(0, 180), 0, 360, (0.9, 0.75, 0.72), -1, cv2.LINE_AA)
    elif flaw == "dent":
        _shade(cap, rng, 20, 0.25)
    elif flaw == "chip":
        angle = rng.uniform(0, 2 * math.pi)
        at = (int(160 + 131 * math.cos(angle)), int(160 + 131 * math.sin(angle)))
        cv2.circle(cap, at, 11, (0.75, 0.76, 0.78), -1, cv2.LINE_AA)
    return _moved(cap, rng, 5.0, 4.0) * rng.normal(1.0, 0.03, 3).astype(np.float32)


def _board(rng: np.random.Generator, flaw: str | None) -> Canvas:
    """A circuit board with components, tracks and pads."""
    board = np.full((SIDE_PX, SIDE_PX, 3), (0.08, 0.32, 0.18), dtype=np.float32)
    for track in range(8):
        y = 30 + 36 * track
        cv2.line(board, (20, y), (300, y + (12 if track % 2 else -8)), (0.14, 0.42, 0.26), 4, cv2.LINE_AA)
    chosen = int(rng.integers(0, 12))
    for number in range(12):
        x, y = 50 + 72 * (number % 4), 60 + 96 * (number // 4)
        jitter = rng.normal(0, 1.0, 2)
        if flaw == "missing" and number == chosen:
            continue
        turned = 28.0 if flaw == "turned" and number == chosen else float(rng.normal(0, 1.0))
        corners = cv2.boxPoints(((x + jitter[0], y + jitter[1]), (34, 18), turned))
        cv2.fillConvexPoly(board, corners.astype(np.int32), (0.13, 0.12, 0.13), cv2.LINE_AA)
        for side in (-1, 1):
            cv2.circle(board, (int(x + side * 24), y), 6, (0.72, 0.71, 0.66), -1, cv2.LINE_AA)
    if flaw == "bridge":
        x, y = 50 + 72 * (chosen % 3), 60 + 96 * (chosen // 4)
        cv2.line(board, (x + 24, y), (x + 48, y), (0.72, 0.71, 0.66), 4, cv2.LINE_AA)
    elif flaw == "blob":
        cv2.circle(board, _spot(rng, 110), int(rng.integers(4, 8)), (0.75, 0.74, 0.7), -1, cv2.LINE_AA)
    return _moved(board, rng, 1.0, 3.0)


def _casting(rng: np.random.Generator, flaw: str | None) -> Canvas:
    """A rough disc with a bore, cast and turned."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32) - SIDE_PX / 2
    radius = np.hypot(x, y)
    rough = cv2.GaussianBlur(rng.normal(0, 1, (SIDE_PX, SIDE_PX)).astype(np.float32), (0, 0), 1.6) * 0.1
    rings = 0.035 * np.sin(radius * 0.9 + rng.uniform(0, 6))
    disc = np.where((radius < 138) & (radius > 36), 0.52 + rough + rings * (radius < 92), 0.16 + 0.3 * rough)
    casting: Canvas = np.repeat(disc.astype(np.float32)[:, :, None], 3, axis=2)
    angle, out = rng.uniform(0, 2 * math.pi), rng.uniform(58, 120)
    at = (int(160 + out * math.cos(angle)), int(160 + out * math.sin(angle)))
    if flaw == "pore":
        cv2.circle(casting, at, int(rng.integers(3, 6)), (0.2,) * 3, -1, cv2.LINE_AA)
    elif flaw == "crack":
        steps = np.cumsum(rng.normal((4, 2), 5, (8, 2)), axis=0) + at
        cv2.polylines(casting, [steps.astype(np.int32)], isClosed=False, color=(0.28,) * 3, thickness=1)
    elif flaw == "shut":  # metal that met cold: a faint smooth line
        cv2.ellipse(casting, at, (30, 6), rng.uniform(0, 180), 0, 360, (0.57,) * 3, -1, cv2.LINE_AA)
    elif flaw == "edge":
        cv2.circle(casting, (int(160 + 140 * math.cos(angle)), int(160 + 140 * math.sin(angle))), 12, (0.16,) * 3, -1)
    return _moved(casting, rng, 180.0, 2.0)


def _wood(rng: np.random.Generator, flaw: str | None) -> Canvas:
    """A planed board, no two alike."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    wave = cv2.GaussianBlur(rng.normal(0, 1, (SIDE_PX, SIDE_PX)).astype(np.float32), (0, 0), 30) * 130
    rings = np.sin((x + wave + 0.08 * y) / rng.uniform(4.5, 6.5))
    pores = cv2.blur(rng.normal(0, 1, (SIDE_PX, SIDE_PX)).astype(np.float32), (1, 21)) * 0.16
    tone = 0.55 + 0.07 * rings + pores
    wood: Canvas = (tone[:, :, None] * np.array([1.1, 0.85, 0.6], dtype=np.float32)).astype(np.float32)
    if flaw == "scratch":
        start, angle = _spot(rng, 100), rng.uniform(-0.6, 0.6)
        end = (int(start[0] + 60 * math.cos(angle)), int(start[1] + 60 * math.sin(angle)))
        cv2.line(wood, start, end, (0.8, 0.66, 0.5), 2, cv2.LINE_AA)
    elif flaw == "hole":
        cv2.circle(wood, _spot(rng, 120), int(rng.integers(4, 8)), (0.16, 0.1, 0.07), -1, cv2.LINE_AA)
    elif flaw == "glue":
        _stain(wood, rng, 1.18, 20)
    elif flaw == "blue":  # fungus
        at = _spot(rng, 110)
        blot = np.zeros(wood.shape[:2], dtype=np.float32)
        cv2.ellipse(blot, at, (34, 14), 80, 0, 360, 1.0, -1)
        wood *= 1 - 0.35 * cv2.GaussianBlur(blot, (0, 0), 6)[:, :, None] * np.array([1.0, 0.8, 0.4], dtype=np.float32)
    return wood


def _place(rng: np.random.Generator) -> tuple[int, int]:
    row, column = rng.integers(40, SIDE_PX - 100, 2).tolist()
    return row, column


def _spot(rng: np.random.Generator, reach: int) -> tuple[int, int]:
    x, y = (SIDE_PX // 2 + rng.integers(-reach, reach + 1, 2)).tolist()
    return x, y


def _stain(canvas: Canvas, rng: np.random.Generator, factor: float, side_px: int) -> None:
    blot = np.zeros(canvas.shape[:2], dtype=np.float32)
    cv2.ellipse(blot, _spot(rng, 110), (side_px, side_px * 2 // 3), rng.uniform(0, 180), 0, 360, 1.0, -1)
    canvas *= 1 + (factor - 1) * cv2.GaussianBlur(blot, (0, 0), 4)[:, :, None]


def _shade(canvas: Canvas, rng: np.random.Generator, side_px: int, depth: float) -> None:
    """A dent: light on one side of it, dark on the other."""
    x0, y0 = _spot(rng, 70)
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    bump = np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * (side_px / 2) ** 2))
    canvas *= 1 + depth * bump[:, :, None] * np.clip((x - x0) / side_px, -1, 1)[:, :, None] * 2


def _moved(canvas: Canvas, rng: np.random.Generator, turn_deg: float, shift_px: float) -> Canvas:
    middle = (SIDE_PX - 1) / 2
    move = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-turn_deg, turn_deg), 1.0)
    move[:, 2] += rng.uniform(-shift_px, shift_px, 2)
    return cv2.warpAffine(canvas, move, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


LINES = (
    RenderedLine("fabric", ("float", "gap", "slub", "oil"), _fabric),
    RenderedLine("caps", ("letter", "smear", "dent", "chip"), _cap),
    RenderedLine("boards", ("missing", "turned", "bridge", "blob"), _board),
    RenderedLine("castings", ("pore", "crack", "shut", "edge"), _casting),
    RenderedLine("wood", ("scratch", "hole", "glue", "blue"), _wood),
)
