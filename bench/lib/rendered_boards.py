"""Rendered boards and trays whose parts are all good, and only their number or place may be wrong.

A board's components keep their places; a tray's screws lie anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from memory.features import Image

SIZE_PX = 256
Canvas = npt.NDArray[np.float32]
Fitted = dict[tuple[int, int], str]
PITCH_PX, FIRST_PX, SOCKETS = 40, 28, 6
OPTIONAL_COLUMNS = 3  # hold whatever the customer ordered; the others hold what every board has
KINDS = ("screw", "brown", "blue", "chip", "can", "")
FITTED = (
    ("screw", "chip", "can"),
    ("brown", "", "blue"),
    ("can", "brown", "chip"),
    ("", "blue", "screw"),
    ("chip", "can", ""),
    ("blue", "screw", "brown"),
)
TRAY_SCREWS, APART_PX = 6, 44


class Fault(StrEnum):
    """What may be wrong with the composition of a board."""

    MISSING = "missing"
    EXTRA = "extra"
    SWAPPED = "swapped"
    MISPLACED = "misplaced"


@dataclass(frozen=True)
class Component:
    """A component of a kind, with its middle in pixels and its turn in degrees."""

    kind: str
    x: float
    y: float
    turn_deg: float = 0.0


def board(number: int, fault: Fault | None = None) -> Image:
    """The image (256, 256, 3) u8 of board `number`: each component a little off its socket; those of the left half
    hold anything."""
    rng = np.random.default_rng(number)
    fitted = {(row, OPTIONAL_COLUMNS + column): FITTED[row][column] for row in range(SOCKETS) for column in range(3)}
    optional = {
        (row, column): KINDS[int(rng.integers(len(KINDS)))]
        for row in range(SOCKETS)
        for column in range(OPTIONAL_COLUMNS)
    }
    if fault is not None:
        fitted = _faulty(fitted, fault, np.random.default_rng((number, 1)))
    components = [
        Component(
            kind,
            FIRST_PX + PITCH_PX * column + rng.uniform(-1.5, 1.5),
            FIRST_PX + PITCH_PX * row + rng.uniform(-1.5, 1.5),
            rng.uniform(-3, 3),
        )
        for (row, column), kind in sorted((optional | fitted).items())
        if kind
    ]
    return _photographed(_drawn(components, rng), rng)


def tray(number: int, screws: int = TRAY_SCREWS) -> Image:
    """The image (256, 256, 3) u8 of a tray with so many screws, anywhere in it and turned in any way."""
    rng = np.random.default_rng(number)
    lying: list[Component] = []
    while len(lying) < screws:
        x, y = rng.uniform(28, SIZE_PX - 28, 2)
        if all(math.hypot(x - one.x, y - one.y) > APART_PX for one in lying):
            lying.append(Component("screw", x, y, rng.uniform(0, 360)))
    return _photographed(_drawn(lying, rng, ground=(0.55, 0.55, 0.58)), rng)


def _faulty(fitted: Fitted, fault: Fault, rng: np.random.Generator) -> Fitted:
    """What is fitted, with one fault: a component gone, one in an empty socket, two swapped, one in an empty socket
    instead of its own."""
    full = [socket for socket, kind in fitted.items() if kind]
    empty = [socket for socket, kind in fitted.items() if not kind]
    one, free = full[int(rng.integers(len(full)))], empty[int(rng.integers(len(empty)))]
    if fault is Fault.MISSING:
        return fitted | {one: ""}
    if fault is Fault.EXTRA:
        return fitted | {free: fitted[one]}
    if fault is Fault.MISPLACED:
        return fitted | {one: "", free: fitted[one]}
    others = [socket for socket in full if fitted[socket] != fitted[one]]
    other = others[int(rng.integers(len(others)))]
    return fitted | {one: fitted[other], other: fitted[one]}


def _drawn(components: list[Component], rng: np.random.Generator, ground: tuple[float, ...] = ()) -> Canvas:
    canvas = np.empty((SIZE_PX, SIZE_PX, 3), dtype=np.float32)
    canvas[:] = ground or (0.10, 0.34, 0.18)
    canvas += (
        0.02 * cv2.GaussianBlur(rng.normal(0, 1, (SIZE_PX, SIZE_PX)).astype(np.float32), (0, 0), 2)[:, :, None] * 4
    )
    for one in components:
        DRAWN[one.kind](canvas, one)
    return canvas


def _screw(canvas: Canvas, one: Component) -> None:
    middle = (round(one.x), round(one.y))
    cv2.circle(canvas, middle, 13, (0.72, 0.70, 0.62), -1, cv2.LINE_AA)
    cv2.circle(canvas, middle, 13, (0.30, 0.30, 0.30), 2, cv2.LINE_AA)
    for turn in (45, 135):
        _bar(canvas, one, 18, 4, (0.2, 0.2, 0.2), turn)


def _resistor(body: tuple[float, float, float]) -> Callable[[Canvas, Component], None]:
    def draw(canvas: Canvas, one: Component) -> None:
        _bar(canvas, one, 28, 3, (0.8, 0.8, 0.8))
        _bar(canvas, one, 20, 10, body)

    return draw


def _chip(canvas: Canvas, one: Component) -> None:
    for step in (-10, -3.3, 3.3, 10):
        pin = replace(one, x=one.x + step)
        _bar(canvas, pin, 3, 24, (0.75, 0.75, 0.75))
    _bar(canvas, one, 30, 16, (0.08, 0.08, 0.09))
    cv2.circle(canvas, (round(one.x - 10), round(one.y + 4)), 2, (0.5, 0.5, 0.5), -1, cv2.LINE_AA)


def _can(canvas: Canvas, one: Component) -> None:
    middle = (round(one.x), round(one.y))
    cv2.circle(canvas, middle, 12, (0.15, 0.17, 0.35), -1, cv2.LINE_AA)
    cv2.circle(canvas, middle, 9, (0.78, 0.78, 0.80), -1, cv2.LINE_AA)


DRAWN: dict[str, Callable[[Canvas, Component], None]] = {
    "screw": _screw,
    "brown": _resistor((0.55, 0.33, 0.15)),
    "blue": _resistor((0.25, 0.45, 0.70)),
    "chip": _chip,
    "can": _can,
}


def _bar(
    canvas: Canvas, one: Component, long_px: float, wide_px: float, colour: tuple[float, ...], turn_deg: float = 0.0
) -> None:
    corners = cv2.boxPoints(((one.x, one.y), (long_px, wide_px), one.turn_deg + turn_deg))
    cv2.fillConvexPoly(canvas, np.rint(corners * 16).astype(np.int32), colour, cv2.LINE_AA, shift=4)


def _photographed(canvas: Canvas, rng: np.random.Generator) -> Image:
    turn = cv2.getRotationMatrix2D((SIZE_PX / 2, SIZE_PX / 2), rng.uniform(-1.0, 1.0), 1.0)
    turn[:, 2] += rng.uniform(-2.0, 2.0, 2)
    placed = cv2.warpAffine(canvas, turn, (SIZE_PX, SIZE_PX), borderMode=cv2.BORDER_REPLICATE)
    seen = placed * rng.uniform(0.97, 1.03) + rng.normal(0, 0.008, placed.shape)
    return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)
