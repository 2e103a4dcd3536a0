"""What a frame says about the scene: seven numbers by cause, each against a fixed reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

IMAGE_SIGNALS = ("exposure", "contrast", "red", "blue", "sharpness", "noise")
MATERIAL_AXES = 3
SIGNALS = (*IMAGE_SIGNALS, *(f"material_{i + 1}" for i in range(MATERIAL_AXES)))
IMAGE_SPREAD_FLOOR = 0.03
MATERIAL_SPREAD_FLOOR = 0.01

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """What the signals were when the version was taught: fixed, because scores fall whenever a bank grows.

    `mean` and `spread` (S,) are over the taught parts in the order of `SIGNALS`; `axes` (K, D) are the
    principal components of their mean patch features, around `centre` (D,).
    """

    mean: Vector
    spread: Vector
    axes: Vector
    centre: Vector

    @property
    def light(self) -> float:
        """The taught parts' brightness: the logarithm that exposure ratios are taken against."""
        return float(self.mean[0])

    def arrays(self) -> dict[str, Vector]:
        """The reference as plain arrays, for the store."""
        return {"mean": self.mean, "spread": self.spread, "axes": self.axes, "centre": self.centre}

    @classmethod
    def of(cls, arrays: Mapping[str, Vector]) -> Reference:
        """The reference that `arrays` was made from."""
        return cls(**{name: arrays[name] for name in ("mean", "spread", "axes", "centre")})


@dataclass(frozen=True)
class Signals:
    """One frame's signals. `log_ratio` is the raw exposure against the reference; `z` (S,) are all signals in
    spreads from the reference, exposure raw, the rest as measured on the compensated image.
    """

    log_ratio: float
    z: Vector


def measure(
    raw: npt.NDArray[np.uint8],
    compensated: npt.NDArray[np.uint8],
    patches: npt.NDArray[np.float32],
    reference: Reference,
) -> Signals:
    """The signals of one frame: images (H, W, 3) u8 before and after compensation, patches (P, D) f32.

    Medians and trimmed means, so that a defect on the part hardly moves them. About 1 ms at 256 px.
    """
    values = _values(raw, compensated, patches, reference.axes, reference.centre)
    return Signals(float(values[0] - reference.light), (values - reference.mean) / reference.spread)


def refer(images: Sequence[npt.NDArray[np.uint8]], means: npt.NDArray[np.float32], seed: int) -> Reference:
    """The reference of taught parts: images (H, W, 3) u8 and their mean patch features (n, D).

    With fewer parts than axes the missing axes are seeded random directions, which still see a change of
    material, only less sharply. A spread below its floor (3 % for what is measured as a logarithm, 1 % of the
    mean feature's length for material) is raised to it: parts that hardly differ must not make a detector
    that fires at nothing.
    """
    centre = means.mean(axis=0).astype(np.float64)
    _, _, rows = np.linalg.svd(means - centre, full_matrices=False)
    filler = np.random.default_rng(seed).standard_normal((MATERIAL_AXES, means.shape[1]))
    count = min(MATERIAL_AXES, max(len(means) - 1, 0))
    axes = np.concatenate([rows[:count], filler])[:MATERIAL_AXES].astype(np.float64)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    values = np.stack([_values(i, i, m[None], axes, centre) for i, m in zip(images, means, strict=True)])
    floor = np.full(len(SIGNALS), IMAGE_SPREAD_FLOOR)
    floor[len(IMAGE_SIGNALS) :] = MATERIAL_SPREAD_FLOOR * np.linalg.norm(centre)
    return Reference(values.mean(axis=0), np.maximum(values.std(axis=0), floor), axes, centre)


def mean_patch(patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean patch feature (D,) of one image's patches (P, D): what the material axes look at."""
    mean: npt.NDArray[np.float32] = patches.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _values(
    raw: npt.NDArray[np.uint8],
    compensated: npt.NDArray[np.uint8],
    patches: npt.NDArray[np.float32],
    axes: Vector,
    centre: Vector,
) -> Vector:
    grey = cv2.cvtColor(compensated, cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(grey, (10, 90))
    colour = compensated.reshape(-1, 3).mean(axis=0) + 1  # (H, W, 3) -> (H * W, 3) -> (3,)
    detail = cv2.Laplacian(grey, cv2.CV_32F)
    residue = grey.astype(np.float32) - cv2.medianBlur(grey, 3)
    material = axes @ (mean_patch(patches) - centre)  # (K, D) @ (D,) -> (K,)
    return np.array(
        [
            np.log(_trimmed_mean(cv2.cvtColor(raw, cv2.COLOR_RGB2GRAY)) + 1),
            np.log(high - low + 1),
            np.log(colour[0] / colour[1]),
            np.log(colour[2] / colour[1]),
            np.log(np.abs(detail).mean() + 1),
            np.log(np.abs(residue).mean() + 1),
            *material,
        ]
    )


def _trimmed_mean(grey: cv2.typing.MatLike) -> float:
    """Mean of the middle 80 % of the pixels, from the histogram."""
    counts = np.bincount(grey.reshape(-1), minlength=256).astype(np.float64)  # (H, W) -> (256,)
    below = np.cumsum(counts)
    cut = 0.1 * below[-1]
    inside = np.clip(np.minimum(below, below[-1] - cut) - np.maximum(below - counts, cut), 0, None)
    return float(inside @ np.arange(256) / inside.sum())
