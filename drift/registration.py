"""Registration: how far a part is shifted and turned against the mean taught part, by OpenCV's phase correlation.

Kuglin and Hines, "The phase correlation image alignment method" (1975); for the turn, on the polar amplitude spectrum,
which a shift leaves alone (Reddy and Chatterji, "An FFT-based technique for translation, rotation, and scale-invariant
image registration", 1996).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SIDE_PX = 128
ANGLES = 360  # over a full turn: one row of the polar spectrum is one degree
LOW_FREQUENCIES = 8  # they follow the light, not the part

Picture = npt.NDArray[np.float32]
_WINDOW: Picture = cv2.createHanningWindow((SIDE_PX, SIDE_PX), cv2.CV_32F).astype(np.float32)
_ANGLE = np.arange(ANGLES // 2)[:, None] * (2 * np.pi / ANGLES)
_RADIUS = np.arange(LOW_FREQUENCIES, SIDE_PX // 2)[None, :]
_POLAR_X: Picture = (SIDE_PX / 2 + _RADIUS * np.cos(_ANGLE)).astype(np.float32)  # (angles / 2, radii)
_POLAR_Y: Picture = (SIDE_PX / 2 + _RADIUS * np.sin(_ANGLE)).astype(np.float32)
_TAPER: Picture = np.hanning(SIDE_PX // 2 - LOW_FREQUENCIES).astype(np.float32)[None, :]


@dataclass(frozen=True)
class Template:
    """The mean taught part: windowed (SIDE, SIDE), and its polar amplitude spectrum (ANGLES / 2, radii)."""

    picture: Picture
    spectrum: Picture


def template_of(image: npt.NDArray[np.uint8]) -> Template:
    """The template of one image (H, W) u8."""
    picture = _windowed(image)
    return Template(picture, _spectrum(picture))


def join(templates: Iterable[Template]) -> Template:
    """The mean of at least one template; only one of them is held at a time."""
    count, pictures, spectra = 0, np.zeros((SIDE_PX, SIDE_PX)), np.zeros(_POLAR_X.shape)
    for one in templates:
        count, pictures, spectra = count + 1, pictures + one.picture, spectra + one.spectrum
    return Template((pictures / count).astype(np.float32), (spectra / count).astype(np.float32))


def without(joined: Template, one: Template, count: int) -> Template:
    """The mean of `count` - 1 of the `count` ≥ 2 templates that were joined: of all but one."""
    picture = (joined.picture * count - one.picture) / (count - 1)
    spectrum = (joined.spectrum * count - one.spectrum) / (count - 1)
    return Template(picture.astype(np.float32), spectrum.astype(np.float32))


def register(image: npt.NDArray[np.uint8], against: Template) -> tuple[float, float, float]:
    """The shift and turn of a part, image (H, W) u8, against the template: right and down in pixels of the image, and
    clockwise in degrees.

    Where taught parts have nothing in common the result is noise, as it was when the reference's spread was measured.
    An image without any structure is neither shifted nor turned.
    """
    seen = template_of(image)
    (x, y), _ = cv2.phaseCorrelate(against.picture, seen.picture)
    (_, turn), _ = cv2.phaseCorrelate(_tapered(against.spectrum), _tapered(seen.spectrum))
    if not np.isfinite([x, y, turn]).all():
        return 0.0, 0.0, 0.0
    return x * image.shape[1] / SIDE_PX, y * image.shape[0] / SIDE_PX, turn * 360 / ANGLES


def _windowed(image: npt.NDArray[np.uint8]) -> Picture:
    small = cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    windowed: Picture = (small - small.mean()) * _WINDOW
    return windowed


def _spectrum(picture: Picture) -> Picture:
    """Log amplitudes by angle and radius; half a turn, for the other half is the same."""
    parts = cv2.dft(picture, flags=cv2.DFT_COMPLEX_OUTPUT)
    amplitude = np.fft.fftshift(np.log1p(cv2.magnitude(parts[..., 0], parts[..., 1])))
    polar: Picture = cv2.remap(amplitude, _POLAR_X, _POLAR_Y, cv2.INTER_LINEAR).astype(np.float32, copy=False)
    return polar


def _tapered(spectrum: Picture) -> Picture:
    tapered: Picture = (spectrum - spectrum.mean(axis=0)) * _TAPER
    return tapered
