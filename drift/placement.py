"""Placement: where a part lies against the taught template, so that it can be moved there before it is scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drift.alignment import WORKING_PX, Fit, Mask, Matrix, Picture, align, detail, shrunk, undone, warped
from memory.features import Image, by_threes, slopes_turned

# A tenth of each side and 15°, and how far taught parts themselves may lie from the template.
MAX_SHIFT_SHARE = 0.11
MAX_TURN_DEG = 16.0
LEAST_CONFIDENCE = 0.5  # a wrong part with a similar outline reaches 0.4
SHARE_OF_TAUGHT = 0.6  # of a part's confidence is left when a dark blot covers a tenth of the image
TAUGHT_PARTS = 32  # make the template, spread evenly over all that come


@dataclass(frozen=True, eq=False)
class PlacementTemplate:
    """What the taught parts look like in one position, and how surely they are found there.

    `shape` (H, W) is that of the taught images. `picture` (h, w) is the mean detail of the aligned parts, at most
    `WORKING_PX` on the longer side, and `inside` (h, w) says where it counts. `confidences` (n,) are those of at most
    `TAUGHT_PARTS` taught parts, each placed against the template of the others. A placement needs `least_confidence`
    to be trusted.
    """

    shape: tuple[int, int]
    picture: Picture
    inside: Mask
    confidences: Matrix
    least_confidence: float

    @property
    def usable(self) -> bool:
        """Whether most taught parts were found in the template's position; without that no placement is trusted."""
        return bool(np.median(self.confidences) >= self.least_confidence)

    def arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """The template as plain arrays, for the store."""
        return {
            "shape": np.array(self.shape, dtype=np.float64),
            "picture": self.picture.astype(np.float64),
            "inside": self.inside.astype(np.float64),
            "confidences": self.confidences,
            "least_confidence": np.array([self.least_confidence]),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> PlacementTemplate:
        """The template whose `arrays` these are, bit for bit."""
        height, width = arrays["shape"].tolist()
        return cls(
            shape=(int(height), int(width)),
            picture=arrays["picture"].astype(np.float32),
            inside=arrays["inside"].astype(np.bool_),
            confidences=arrays["confidences"],
            least_confidence=float(arrays["least_confidence"][0]),
        )


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a part lies: the image's centre is shifted by `shift_px` (right, down) from where the template has it, and
    the part turned clockwise about it by `turn_deg`.

    `matrix` (2, 3) maps pixels of the image to where they lie in the template's position. `confidence` in [0, 1] is
    the correlation with the template after alignment; a placement that is not `trusted` must not be used.
    """

    matrix: Matrix
    shift_px: tuple[float, float]
    turn_deg: float
    confidence: float
    trusted: bool


def placement_template(images: Iterable[Image], inside: Mask | None) -> PlacementTemplate:
    """The template of taught parts, grey images (H, W) u8 that are read one by one and not kept.

    Only `inside` (H, W) counts, or everything where it is None. The position is that of the part most like the mean
    of all; the others are aligned to it first, and one that cannot be is left out. A single part makes no `usable`
    template. Raises ValueError where there is no image, where shapes differ and where the region is empty.
    """
    shape, details = _details(images)
    region = np.ones(shape, dtype=np.bool_) if inside is None else inside
    within = shrunk(region.astype(np.float32), WORKING_PX) > 0.5
    if region.shape != shape or not within.any():
        raise ValueError(f"expected a region of {shape} that is not empty; came {region.shape} with {region.sum()} px")
    picture, confidences = _joined(details, within)
    least = max(LEAST_CONFIDENCE, SHARE_OF_TAUGHT * float(np.median(confidences)))
    return PlacementTemplate(shape, picture, within, confidences, least)


def place(image: Image, template: PlacementTemplate) -> Placement:
    """How a part lies in a grey image (H, W) u8: shifts up to 10 % of each side and turns up to 15° are found.

    Neither light nor a defect on a tenth of the image spoils it. A part that lies farther off, a wrong part and an
    image without structure are not trusted. The turn of a round part cannot be seen; a small one is taken. A
    part that looks much the same after half a turn may be placed upside down.
    Deterministic, whatever OpenCV's number of threads. Raises ValueError for an image of another shape than the taught
    ones.
    """
    if image.shape != template.shape:
        raise ValueError(f"expected a grey image of {template.shape}; came {image.shape}")
    fit = align(detail(image), template.picture, template.inside)
    return Placement(
        matrix=undone(fit.pose, image.shape),
        shift_px=(fit.pose.x * image.shape[1], fit.pose.y * image.shape[0]),
        turn_deg=fit.pose.turn_deg,
        confidence=fit.correlation,
        trusted=template.usable and _in_reach(fit, template.least_confidence),
    )


def placed(image: Image, placement: Placement) -> Image:
    """An image (H, W, 3 or 6) u8 moved to the template's position, interpolated linearly; its edges are replicated."""
    moved = by_threes(lambda three: warped(three, placement.matrix), image)
    return slopes_turned(moved, -placement.turn_deg)


def _details(images: Iterable[Image]) -> tuple[tuple[int, int], list[Picture]]:
    """The shape of all images, and the detail of at most `TAUGHT_PARTS` of them, evenly spread."""
    shape: tuple[int, ...] = ()
    details: list[Picture] = []
    every = 1
    for number, image in enumerate(images):
        shape = shape or image.shape
        if image.shape != shape or image.ndim != 2 or not image.size:
            raise ValueError(f"expected grey images of one shape; came {image.shape} after {shape}")
        if number % every == 0:
            details.append(detail(image))
        if len(details) > TAUGHT_PARTS:
            details, every = details[::2], 2 * every
    if not details:
        raise ValueError("expected at least one taught part; came none")
    return (shape[0], shape[1]), details


def _joined(details: Sequence[Picture], inside: Mask) -> tuple[Picture, Matrix]:
    """The mean of parts aligned to the one most like all, and each part's correlation (n,) with the mean of the others.

    A part that resembles no other has none.
    """
    mean = np.mean(details, axis=0)
    first = int(np.argmax([(one * mean)[inside].sum() for one in details]))
    fits = [align(one, details[first], inside) for one in details]
    joins = [i == first or _in_reach(fit, LEAST_CONFIDENCE) for i, fit in enumerate(fits)]
    moved = [joins[i] * warped(one, undone(fits[i].pose, one.shape)) for i, one in enumerate(details)]
    total: Picture = np.sum(moved, axis=0, dtype=np.float32)
    count = sum(joins)
    correlations = np.zeros(len(details))
    for i, one in enumerate(details):
        if others := count - joins[i]:
            correlations[i] = align(one, np.divide(total - moved[i], others, dtype=np.float32), inside).correlation
    return np.divide(total, count, dtype=np.float32), correlations


def _in_reach(fit: Fit, least_confidence: float) -> bool:
    pose = fit.pose
    near = max(abs(pose.x), abs(pose.y)) <= MAX_SHIFT_SHARE and abs(pose.turn_deg) <= MAX_TURN_DEG
    return near and fit.correlation >= least_confidence
