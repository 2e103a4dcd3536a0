"""The fourteen signals by which a frame describes the scene, each measured against a fixed reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from drift.registration import Template, register
from memory.features import Features, Image, colours

LIGHT = ("exposure", "red", "blue")
CAMERA = ("contrast", "sharpness", "noise", "shift_x", "shift_y", "rotation")
AXES = 3
MATERIAL = ("texture", *(f"material_{i + 1}" for i in range(AXES)), "material_off")
SIGNALS = (*LIGHT, *CAMERA, *MATERIAL)
BLOCKS = 16
PATCH_BLOCKS = 8
GREY = np.array([0.299, 0.587, 0.114])  # OpenCV's weights of red, green and blue
QUANTUM = 0.5  # half a grey level: what an 8-bit image cannot show
# Immerkær, "Fast noise variance estimation" (1996), eq. 3: blind to edges and to slopes.
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)

Vector = npt.NDArray[np.float64]
# Which pixels (H, W) of an image lie in its region of interest; None where it is the whole image.
Inside = npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class Axes:
    """The space of normal material: `centre` (D,) and `axes` (K, D), principal components of taught parts' material."""

    centre: Vector
    axes: Vector


def grey_of(image: Image) -> Image:
    """An image (H, W, 3) u8 as brightness (H, W) u8; a depth picture behind the colours has none."""
    return cv2.cvtColor(colours(image), cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def light(raw: Image, inside: Inside = None) -> Vector:
    """The logarithm of each colour channel's brightness (3,) in an image (H, W, 3) u8: mean of the middle 80 % of its
    pixels `inside`."""
    levels: Vector = np.log([_trimmed_mean(_histogram(raw, channel, inside)) + 1 for channel in range(3)])
    return levels


def material(features: Features) -> Vector:
    """The material (D,) of an image's patches: the mean of the middle half of the means of some 8 × 8 blocks.

    So a defect in at most a quarter of the blocks is left out, as are blocks without a patch.
    """
    rows, columns = features.grid
    high, wide = max(rows // PATCH_BLOCKS, 1), max(columns // PATCH_BLOCKS, 1)  # of one block, in patches
    down, across = rows // high, columns // wide
    grid = features.to_map(features.patches, outside=np.nan)[: down * high, : across * wide]  # (rows, columns, D)
    parted = grid.reshape(down, high, across, wide, -1)  # (rows, columns, D) -> (down, high, across, wide, D)
    if features.complete:
        blocks = parted.mean(axis=(1, 3), dtype=np.float64).reshape(down * across, -1)
    else:
        there = ~np.isnan(parted[..., :1]).all(axis=(1, 3)).reshape(-1)
        by_block = parted.transpose(0, 2, 1, 3, 4).reshape(down * across, high * wide, -1)[there]
        blocks = np.nanmean(by_block, axis=1, dtype=np.float64)
    return _middle(blocks, 0.25, 0.75)  # (blocks, D) -> (D,)


def picture(levels: Vector, compensated: Image, template: Template, detail: Vector, inside: Inside = None) -> Vector:
    """The signals (10,) of `LIGHT` and `CAMERA`, and the texture, as measured: logarithms, pixels, degrees.

    Light is measured by the `levels` (3,) of the raw image, contrast `inside` and registration on the compensated one
    (H, W, 3) u8, painted over elsewhere; `detail` (3,) are sharpness, noise and texture, as by `grains`.
    """
    red, green, blue = levels
    sharpness, noise, texture = detail
    grey = grey_of(compensated)
    low, high = _quantiles(_histogram(grey, inside=inside), (0.1, 0.9))
    exposure, contrast = np.log(GREY @ np.exp(levels)), np.log(high - low + 1)
    shift_and_turn = register(grey, template)
    return np.array([exposure, red - green, blue - green, contrast, sharpness, noise, *shift_and_turn, texture])


def grains(image: Image, darker: Vector, inside: Inside = None) -> Vector:
    """Sharpness, noise and texture (n, 3), as logarithms, `inside` an image (H, W, 3) u8 darkened by n factors, whose
    logarithms are `darker` (n,).

    Sharpness is fine detail in the blocks that have most of it, edges where there are any: it tells a blurred image
    from a smoother material. The most and least detailed blocks are left out, so that a defect on the part hardly
    matters. Scaling happens here and not in the image, whose rounding would add grain.
    """
    grey = grey_of(image)
    detail = _blocks(cv2.Laplacian(grey, cv2.CV_16S), inside)
    noise = _blocks(cv2.filter2D(grey, cv2.CV_16S, _NOISE), inside)
    seen = np.array([_middle(detail, 0.75, 0.95), _middle(noise, 0.0, 0.25), _middle(detail, 0.25, 0.75)])
    scaled: Vector = np.log(seen * np.exp(-darker)[:, None] + QUANTUM)
    return scaled


def grain(image: Image) -> float:
    """An upper bound of the standard deviation of the sensor's noise, in grey levels, by an image's flattest blocks."""
    flattest = _middle(_blocks(cv2.filter2D(grey_of(image), cv2.CV_16S, _NOISE)), 0.0, 0.25)
    return float(np.sqrt(np.pi / 2) / 6 * flattest)  # Immerkær, eq. 4


def material_coordinates(seen: Vector, axes: Axes) -> Vector:
    """The other signals (K + 1,) of `MATERIAL` for a material (D,): along each axis, and how far from all of them."""
    apart = seen - axes.centre
    along = axes.axes @ apart  # (K, D) @ (D,) -> (K,)
    return np.array([*along, np.linalg.norm(apart - along @ axes.axes)])


def principal(seen: Sequence[Vector], seed: int) -> Axes:
    """The axes of taught parts' materials, (D,) each.

    With fewer parts than axes the missing ones are seeded random directions, which still see a change of material,
    only less sharply.
    """
    stacked = np.stack(seen)
    centre = stacked.mean(axis=0)
    rows = np.linalg.svd(stacked - centre, full_matrices=False)[2][: max(min(AXES, len(stacked) - 1), 0)]
    return Axes(centre, _filled(rows, seed))


def principal_without_each(seen: Sequence[Vector], seed: int) -> list[Axes]:
    """The axes of all others, for each of at least two taught parts' materials, (D,) each: as `principal` of them.

    With a deviation y from the mean of all n, the scatter of the others about their own mean is that of all less
    n/(n-1) y yᵀ (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983, equation 2.1). By the
    axes of all it is a diagonal less one product, of which only the largest eigenvectors are wanted.
    """
    from scipy.linalg import eigh  # only a teach needs it

    stacked = np.stack(seen)
    count, centre = len(stacked), stacked.mean(axis=0)
    along, lengths, every = np.linalg.svd(stacked - centre, full_matrices=False)  # (n, r), (r,), (r, D)
    wanted, found = min(AXES, count - 2, len(lengths)), []
    for part, by_axis in zip(stacked, along * lengths, strict=True):
        rows = every[:0]
        if wanted > 0:
            scatter = np.diag(lengths**2) - count / (count - 1) * np.outer(by_axis, by_axis)  # (r, r)
            _, largest = eigh(scatter, subset_by_index=(len(lengths) - wanted, len(lengths) - 1))
            rows = largest.T[::-1] @ every  # (wanted, r) @ (r, D), the largest first
        found.append(Axes((count * centre - part) / (count - 1), _filled(rows, seed)))
    return found


def _filled(rows: Vector, seed: int) -> Vector:
    """A basis (K, D) of these rows and seeded random ones."""
    filler = np.random.default_rng(seed).standard_normal((AXES, rows.shape[1]))
    return np.linalg.qr(np.concatenate([rows, filler])[:AXES].T)[0].T  # (D, K) -> (K, D)


def _histogram(image: Image, channel: int = 0, inside: Inside = None) -> Vector:
    mask = None if inside is None else inside.view(np.uint8)
    # OpenCV 4 answers (256, 1), OpenCV 5 (256,).
    counts: Vector = cv2.calcHist([image], [channel], mask, [256], [0, 256]).ravel().astype(np.float64)
    return counts


def _trimmed_mean(counts: Vector) -> float:
    """Mean of the middle 80 % of the pixels."""
    below = np.cumsum(counts)
    cut = 0.1 * below[-1]
    inside = np.clip(np.minimum(below, below[-1] - cut) - np.maximum(below - counts, cut), 0, None)
    return float(inside @ np.arange(256) / inside.sum())


def _quantiles(counts: Vector, shares: tuple[float, ...]) -> Vector:
    below = np.concatenate([[0.0], np.cumsum(counts)])
    quantiles: Vector = np.interp(np.array(shares) * below[-1], below, np.arange(257) - 0.5)
    return quantiles


def _blocks(response: cv2.typing.MatLike, inside: Inside = None) -> Vector:
    """Mean magnitude by block (BLOCKS²,), or by those blocks that lie `inside` most."""
    magnitude = np.abs(response).astype(np.float32)
    if inside is None:
        return _by_block(magnitude)
    # Not at the border, where the filters saw pixels beyond it.
    seen = cv2.erode(inside.view(np.uint8), np.ones((3, 3), dtype=np.uint8), borderValue=1).astype(np.float32)
    share = _by_block(seen)
    chosen = share >= min(0.5, share.max())
    blocks: Vector = _by_block(magnitude * seen)[chosen] / np.maximum(share[chosen], np.finfo(np.float32).tiny)
    return blocks


def _by_block(values: npt.NDArray[np.float32]) -> Vector:
    means = cv2.resize(values, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    return means.reshape(-1).astype(np.float64)  # (BLOCKS, BLOCKS) -> (BLOCKS²,)


def _middle(values: Vector, low: float, high: float) -> Vector:
    """Mean of the values between two quantiles along the first axis, one at least, for each column."""
    ordered, first = np.sort(values, axis=0), int(low * len(values))
    middle: Vector = ordered[first : max(int(high * len(values)), first + 1)].mean(axis=0)
    return middle
