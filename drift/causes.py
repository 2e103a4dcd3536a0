"""From signals that have moved to a cause with a name: each cause is tried on the taught parts beforehand.

What blur, noise or a turned part do to fourteen signals depends on the part. So a version's reference holds what every
cause did to its own taught images, and a change is named after the cause whose marks it bears.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Vector, grain
from memory.features import Image

# Signals that are a cause's own, whatever it does to others.
OWN = {
    "light": ("exposure",),
    "colour": ("red", "blue"),
    "contrast": ("contrast",),
    "shift": ("shift_x", "shift_y"),
    "rotation": ("rotation",),
    "material": MATERIAL,
}
COMPENSATED = ("light", "colour")
COMPENSATED_SIGNALS = (*CAMERA, *MATERIAL)  # measured after compensation
DOUBT = 2.0  # standard errors that a mean must exceed to count
BENEFIT = 0.1

Marks = Mapping[str, npt.NDArray[np.float64]]
_COMPENSATED_INDEX = np.array([SIGNALS.index(name) for name in COMPENSATED_SIGNALS])


def simulate_causes(image: Image, seed: int) -> Iterator[tuple[str, Image]]:
    """The image (H, W, 3) u8 under every cause, each in a few sizes; all but light and colour as if compensated."""
    noise = np.random.default_rng(seed).standard_normal(image.shape)
    mean = image.mean()
    for factor in (0.75, 1.3):
        yield "light", _u8(image * factor)
        yield "contrast", _u8(mean + (image - mean) * factor)
    for tint in ((1.1, 1.0, 1.0), (0.9, 1.0, 1.0), (1.0, 1.0, 1.1), (1.0, 1.0, 0.9)):
        yield "colour", _u8(image * np.array(tint))
    for sigma_px in (0.5, 1.0, 2.5):
        blurred = cv2.GaussianBlur(image, (0, 0), sigma_px)
        yield "blur", _u8(blurred)  # by motion, or by what lies behind the sensor
        yield "blur", _u8(blurred + grain(image) * noise[..., :1])  # by the lens, before the sensor adds its grain
    for deviation in (1.0, 3.0, 8.0):
        yield "noise", _u8(image + deviation * noise)
    for by_px in (4, -4):
        yield "shift", _moved(image, 0.0, (by_px, 0))
        yield "shift", _moved(image, 0.0, (0, by_px))
    for degrees in (1.0, 4.0, -1.0, -4.0):
        turned = _moved(image, degrees, (0, 0))
        lost = grain(image) ** 2 - grain(turned) ** 2  # averaged between pixels, as no turned part's is
        yield "rotation", _u8(turned + np.sqrt(max(lost, 0.0)) * noise[..., :1])


def named(moved: Vector, frames: int, marks: Marks, known: Collection[str]) -> str:
    """The cause of a change in `SHOWN` by the mean of `frames` frames' signals (S,), in spreads.

    The cause that explains the largest share of it: of its length squared, what lies along one of the cause's marks
    (the squared cosine) or on signals of the cause's own. Lengths are compressed by asinh, so that one signal that has
    gone far does not outshout how the others went along. `light` and `colour` answer a change that compensation has
    not caught up with; what is `known` to have changed is believed first, where it explains as much.
    """
    clear = np.sign(moved) * np.maximum(np.abs(moved) - DOUBT / np.sqrt(frames), 0)
    seen = np.arcsinh(clear)[_COMPENSATED_INDEX]
    if not seen.any():
        seen = np.arcsinh(moved)[_COMPENSATED_INDEX]
    explained = {cause: max(_along(seen, np.arcsinh(rows)[:, _COMPENSATED_INDEX])) for cause, rows in marks.items()}
    for cause, own in OWN.items():
        at = [COMPENSATED_SIGNALS.index(name) for name in own if name in COMPENSATED_SIGNALS]
        explained[cause] = max(explained.get(cause, 0.0), float(seen[at] @ seen[at] / (seen @ seen)))
    for cause in known:
        explained[cause] += BENEFIT
    return max(explained, key=lambda cause: explained[cause])


def amount(cause: str, moved: Vector, spread: Vector) -> str:
    """By how much, in plain units, from the mean signals (S,) in spreads (S,): "light +18 %"."""
    by = dict(zip(SIGNALS, (moved * np.where(np.isfinite(spread), spread, 0.0)).tolist(), strict=True))
    if cause == "light":
        return f"light {_percent(by['exposure'])}"
    if cause == "colour":
        return f"red {_percent(by['red'])}, blue {_percent(by['blue'])} against green"
    if cause == "shift":
        x, y = by["shift_x"], by["shift_y"]
        return f"part moved {abs(x):.1f} px {'right' if x > 0 else 'left'}, {abs(y):.1f} px {'down' if y > 0 else 'up'}"
    if cause == "rotation":
        return f"part turned {abs(by['rotation']):.1f}° {'clockwise' if by['rotation'] > 0 else 'anticlockwise'}"
    if cause == "material":
        on = moved[-len(MATERIAL) :]
        return f"material {float(np.abs(on).max()):.1f} spreads from the taught parts"
    return f"{'sharpness' if cause == 'blur' else cause} {_percent(by['sharpness' if cause == 'blur' else cause])}"


def _along(seen: Vector, rows: npt.NDArray[np.float64]) -> list[float]:
    """The squared cosine of `seen` with each row, 0 where it points away."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(seen)
    cosine = np.divide(rows @ seen, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    return [float(max(c, 0.0) ** 2) for c in cosine]


def _percent(log_ratio: float) -> str:
    return f"{(np.exp(log_ratio) - 1) * 100:+.0f} %"


def _moved(image: Image, degrees: float, by_px: tuple[int, int]) -> Image:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)  # ours are clockwise
    turn[:, 2] += by_px
    # Whole pixels and Lanczos: a smoother one would show the marks of blur.
    moved = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.uint8, copy=False)


def _u8(pixels: npt.NDArray[Any]) -> Image:
    made: Image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return made


assert set(LIGHT).isdisjoint(COMPENSATED_SIGNALS)  # noqa: S101  # light is told apart by charts of its own
