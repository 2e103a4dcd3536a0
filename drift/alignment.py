"""Alignment: the shift and turn of one small picture against another, blind to light.

A coarse search by cross-correlation at every turn, then the enhanced correlation coefficient (ECC) by OpenCV:
Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization" (2008).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image

WORKING_PX = 256  # the longer side of a picture
COARSE_PX = 64  # and of what is searched
FINE_PX = 1.0  # smoothing that leaves out the sensor's noise
LIGHT_SHARE = 1 / 32  # of the longer side: what is smoother than this is light, not the part
ONE_LEVEL = 0.5  # half a grey level: what an 8-bit image cannot show
TURNS_DEG = range(-24, 25, 3)
SEARCHED_SHARE = 0.2  # of each side
FARTHEST_SHARE = 0.3  # ECC that strays this far correlates too little of the picture to mean anything
TIE = 0.01  # correlations that differ by less do not tell two turns apart
CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-5)

Picture = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float64]


class Pose(NamedTuple):
    """A displacement: `x` right and `y` down, of the picture's centre in shares of its width and height, and
    `turn_deg` clockwise about that centre. It is the same at every resolution.
    """

    x: float
    y: float
    turn_deg: float


class Fit(NamedTuple):
    """A pose and the correlation in [0, 1] of the two pictures when it is undone."""

    pose: Pose
    correlation: float


NO_FIT = Fit(Pose(0.0, 0.0, 0.0), 0.0)


def detail(image: Image) -> Picture:
    """The fine structure of a grey image (H, W) u8 as a picture (h, w), at most `WORKING_PX` on the longer side.

    A difference of Gaussians (Marr and Hildreth, "Theory of edge detection", 1980), over its own mean magnitude and
    softly limited to (-1, 1): light hardly changes it, and a defect of high contrast weighs no more than the part.
    """
    small = shrunk(image.astype(np.float32), WORKING_PX)
    fine = cv2.GaussianBlur(small, (0, 0), FINE_PX, borderType=cv2.BORDER_REPLICATE)
    light = cv2.GaussianBlur(small, (0, 0), max(small.shape) * LIGHT_SHARE, borderType=cv2.BORDER_REPLICATE)
    structure = np.subtract(fine, light, dtype=np.float32)
    limit = 2 * (np.abs(structure).mean() + ONE_LEVEL)
    limited: Picture = structure / np.hypot(structure, limit)
    return limited


def shrunk(picture: Picture, longer_px: int) -> Picture:
    """A picture with the longer side reduced to `longer_px`, its aspect kept, by the mean of areas; never enlarged."""
    scale = longer_px / max(picture.shape)
    if scale >= 1:
        return picture
    height, width = (max(round(side * scale), 1) for side in picture.shape)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def align(live: Picture, taught: Picture, inside: Mask) -> Fit:
    """The pose of the `live` picture against the `taught` one, both (h, w), where `inside` (h, w) of the taught one.

    Finds shifts up to `SEARCHED_SHARE` and turns within `TURNS_DEG`, together. Among turns that fit equally well, as
    of a round part, the smallest is taken. Pictures without common structure correlate little; the answer for those
    that ECC cannot align at all is `NO_FIT`.
    """
    coarse_live, coarse_taught = shrunk(live, COARSE_PX), shrunk(taught, COARSE_PX)
    coarse_inside = shrunk(inside.astype(np.float32), COARSE_PX) > 0.5
    starts = (_best_shift(coarse_live, coarse_taught * coarse_inside, float(turn_deg)) for turn_deg in TURNS_DEG)
    fits = [_refined(coarse_live, coarse_taught, coarse_inside, start) for start in starts]
    best = max(fit.correlation for fit in fits)
    nearest = min((fit for fit in fits if fit.correlation >= best - TIE), key=lambda fit: abs(fit.pose.turn_deg))
    return _refined(live, taught, inside, nearest.pose) if best > 0 else NO_FIT


def undone(pose: Pose, shape: tuple[int, ...]) -> Matrix:
    """The matrix (2, 3) that moves the pixels of an image of `shape` (H, W, ...) back from a pose."""
    centre = _centre(shape)
    matrix = cv2.getRotationMatrix2D(centre.tolist(), pose.turn_deg, 1.0).astype(np.float64, copy=False)
    matrix[:, 2] -= matrix[:, :2] @ (pose.x * shape[1], pose.y * shape[0])
    return matrix


def warped(image: npt.NDArray[np.uint8 | np.float32], matrix: Matrix) -> cv2.typing.MatLike:
    """An image moved by a matrix (2, 3), interpolated linearly; its edges are replicated."""
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _best_shift(live: Picture, taught: Picture, turn_deg: float) -> Pose:
    """The pose at a turn with the largest cross-correlation, to a pixel."""
    height, width = live.shape
    down, across = (int(SEARCHED_SHARE * side) + 1 for side in live.shape)
    turned = cv2.warpAffine(
        taught, cv2.getRotationMatrix2D(_centre(live.shape).tolist(), -turn_deg, 1.0), (width, height)
    )
    # Zeros around: the mean of a picture of detail.
    padded = cv2.copyMakeBorder(live, down, down, across, across, cv2.BORDER_CONSTANT, value=0)
    correlation = cv2.matchTemplate(padded, turned, cv2.TM_CCORR)  # (2 * down + 1, 2 * across + 1)
    y, x = divmod(int(correlation.argmax()), 2 * across + 1)
    return Pose((x - across) / width, (y - down) / height, turn_deg)


def _refined(live: Picture, taught: Picture, inside: Mask, start: Pose) -> Fit:
    """The pose near `start` with the largest ECC, below a pixel."""
    # OpenCV masks only the second of its two pictures, so that is the taught one.
    first = undone(start, live.shape).astype(np.float32)
    mask = inside.astype(np.uint8)
    try:
        correlation, found = cv2.findTransformECC(live, taught, first, cv2.MOTION_EUCLIDEAN, CRITERIA, mask, 1)
    except cv2.error:  # it does not converge: the pictures have too little in common
        return NO_FIT
    matrix = found.astype(np.float64)
    if not (np.isfinite(matrix).all() and np.isfinite(correlation)):
        return NO_FIT
    pose = _pose(matrix, live.shape)
    astray = max(abs(pose.x), abs(pose.y)) > FARTHEST_SHARE
    return NO_FIT if astray else Fit(pose, float(np.clip(correlation, 0.0, 1.0)))


def _pose(matrix: Matrix, shape: tuple[int, ...]) -> Pose:
    """The pose that a matrix undoes: the inverse of `undone`."""
    centre, turn = _centre(shape), matrix[:, :2]
    x, y = turn.T @ (centre - matrix[:, 2]) - centre
    return Pose(float(x / shape[1]), float(y / shape[0]), float(np.degrees(np.arctan2(turn[0, 1], turn[0, 0]))))


def _centre(shape: tuple[int, ...]) -> Matrix:
    return np.array([shape[1] - 1, shape[0] - 1], dtype=np.float64) / 2
