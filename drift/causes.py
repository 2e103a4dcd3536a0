"""The causes of drift, and which one explains how signals have moved.

What blur, noise or a turned part do to fourteen signals depends on the part. So every cause is simulated on a version's
own taught images, its reference holds what that did to the signals (the cause's marks), and a change is put down to the
cause whose marks it shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Vector, grain
from memory.features import Image, by_threes, colours, recoloured, slopes_turned


class Cause(StrEnum):
    """A cause of drift, by its name in events, in the ledger and in a version's reference."""

    LIGHT = "light"
    COLOUR = "colour"
    CONTRAST = "contrast"
    BLUR = "blur"
    NOISE = "noise"
    SHIFT = "shift"
    ROTATION = "rotation"
    MATERIAL = "material"


# Signals that belong to one cause, whatever it does to others.
OWN_SIGNALS = {
    Cause.LIGHT: ("exposure",),
    Cause.COLOUR: ("red", "blue"),
    Cause.CONTRAST: ("contrast",),
    Cause.SHIFT: ("shift_x", "shift_y"),
    Cause.ROTATION: ("rotation",),
    Cause.MATERIAL: MATERIAL,
}
COMPENSATED = (Cause.LIGHT, Cause.COLOUR)
NOT_LIGHT = (*CAMERA, *MATERIAL)  # measured after compensation
DOUBT = 2.0  # standard errors that a mean must exceed to count
BENEFIT = 0.1

Marks = Mapping[Cause, npt.NDArray[np.float64]]
_NOT_LIGHT_INDEX = np.array([SIGNALS.index(name) for name in NOT_LIGHT])


def simulate_causes(image: Image, seed: int) -> Iterator[tuple[Cause, Image]]:
    """The image (H, W, 3) u8 under every cause but material, each in a few strengths; all but light and colour as if
    compensated. A depth picture behind the colours moves with the part, and nothing else changes it."""
    seen = colours(image)
    noise = np.random.default_rng(seed).standard_normal(seen.shape, dtype=np.float32)
    for cause, changed in _by_light_and_lens(seen, noise):
        yield cause, recoloured(image, changed)
    for by_px in (4, -4):
        yield Cause.SHIFT, _moved(image, 0.0, (by_px, 0))
        yield Cause.SHIFT, _moved(image, 0.0, (0, by_px))
    for degrees in (1.0, 4.0, -1.0, -4.0):
        turned = _moved(image, degrees, (0, 0))
        lost = (
            grain(image) ** 2 - grain(turned) ** 2
        )  # interpolation smooths the grain, which turning a real part does not
        grainy = _u8(colours(turned) + np.float32(np.sqrt(max(lost, 0.0))) * noise[..., :1])
        yield Cause.ROTATION, recoloured(turned, grainy)


def _by_light_and_lens(image: Image, noise: npt.NDArray[np.float32]) -> Iterator[tuple[Cause, Image]]:
    """The colours (H, W, 3) u8 under the causes that move nothing."""
    pixels, mean = image.astype(np.float32), np.float32(image.mean())  # a large image in float64 would fill the memory
    for factor in (0.75, 1.3):
        yield Cause.LIGHT, _u8(pixels * factor)
        yield Cause.CONTRAST, _u8(mean + (pixels - mean) * factor)
    for tint in ((1.1, 1.0, 1.0), (0.9, 1.0, 1.0), (1.0, 1.0, 1.1), (1.0, 1.0, 0.9)):
        yield Cause.COLOUR, _u8(pixels * np.array(tint, dtype=np.float32))
    for sigma_px in (0.5, 1.0, 2.5):
        blurred = cv2.GaussianBlur(image, (0, 0), sigma_px)
        yield Cause.BLUR, _u8(blurred)  # by motion, or by what lies behind the sensor
        yield (
            Cause.BLUR,
            _u8(blurred + np.float32(grain(image)) * noise[..., :1]),
        )  # by the lens, before the sensor adds its grain
    for deviation in (1.0, 3.0, 8.0):
        yield Cause.NOISE, _u8(pixels + deviation * noise)


def likely_cause(moved: Vector, frames: int, marks: Marks, known: Collection[Cause]) -> Cause:
    """The likeliest cause of a change of signals other than light, by their mean (S,) over `frames` frames, in spreads.

    It is the cause that explains the largest share of the change: of its length squared, what lies along one of the
    cause's marks (the squared cosine) or on the cause's own signals. Lengths are compressed by asinh, so that one
    signal that has moved far does not drown out the pattern of the others. Light and colour explain a change that
    compensation has not caught up with; causes `known` to be at work get a `BENEFIT`.
    """
    clear = np.sign(moved) * np.maximum(np.abs(moved) - DOUBT / np.sqrt(frames), 0)
    seen = np.arcsinh(clear)[_NOT_LIGHT_INDEX]
    if not seen.any():
        seen = np.arcsinh(moved)[_NOT_LIGHT_INDEX]
    explained = {cause: max(_along(seen, np.arcsinh(rows)[:, _NOT_LIGHT_INDEX])) for cause, rows in marks.items()}
    for cause, own in OWN_SIGNALS.items():
        places = [NOT_LIGHT.index(name) for name in own if name in NOT_LIGHT]
        explained[cause] = max(explained.get(cause, 0.0), float(seen[places] @ seen[places] / (seen @ seen)))
    for cause in known:
        explained[cause] += BENEFIT
    return max(explained, key=lambda cause: explained[cause])


def amount(cause: Cause, moved: Vector, spread: Vector) -> str:
    """The size of a change in plain units, such as "light +18 %", by its mean signals (S,) in units of `spread`
    (S,)."""
    by = dict(zip(SIGNALS, (moved * np.where(np.isfinite(spread), spread, 0.0)).tolist(), strict=True))
    x, y = by["shift_x"], by["shift_y"]
    match cause:
        case Cause.LIGHT:
            told = f"light {_percent(by['exposure'])}"
        case Cause.COLOUR:
            told = f"red {_percent(by['red'])}, blue {_percent(by['blue'])} against green"
        case Cause.CONTRAST:
            told = f"contrast {_percent(by['contrast'])}"
        case Cause.BLUR:
            told = f"sharpness {_percent(by['sharpness'])}"
        case Cause.NOISE:
            told = f"noise {_percent(by['noise'])}"
        case Cause.SHIFT:
            told = (
                f"part moved {abs(x):.1f} px {'right' if x > 0 else 'left'},"
                f" {abs(y):.1f} px {'down' if y > 0 else 'up'}"
            )
        case Cause.ROTATION:
            turn = by["rotation"]
            told = f"part turned {abs(turn):.1f}° {'clockwise' if turn > 0 else 'anticlockwise'}"
        case Cause.MATERIAL:
            spreads = float(np.abs(moved[-len(MATERIAL) :]).max())
            told = f"material {spreads:.1f} spreads from the taught parts"
    return told


def _along(seen: Vector, rows: npt.NDArray[np.float64]) -> list[float]:
    """The squared cosine of `seen` with each row, 0 where it points away."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(seen)
    cosine = np.divide(rows @ seen, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    return [float(max(c, 0.0) ** 2) for c in cosine]


def _percent(log_ratio: float) -> str:
    return f"{(np.exp(log_ratio) - 1) * 100:+z.0f} %"


def _moved(image: Image, degrees: float, by_px: tuple[int, int]) -> Image:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)  # ours are clockwise
    turn[:, 2] += by_px

    def moved(three: Image) -> npt.NDArray[Any]:
        # Whole pixels and Lanczos: a smoother one would show the marks of blur.
        size_px, edges = (width, height), cv2.BORDER_REPLICATE
        return cv2.warpAffine(three, turn, size_px, flags=cv2.INTER_LANCZOS4, borderMode=edges)

    return slopes_turned(by_threes(moved, image), degrees)


def _u8(pixels: npt.NDArray[Any]) -> Image:
    rounded = np.rint(pixels)
    return np.asarray(np.clip(rounded, 0, 255, out=rounded), dtype=np.uint8)


assert set(LIGHT).isdisjoint(NOT_LIGHT)  # noqa: S101  # light has charts of its own
