"""Pictures to learn features from that nobody owns: textures, shapes, writing and damage, drawn at random.

Dead leaves (Lee, Mumford and Huang 2001), coloured noise (Baradad et al., "Learning to see by looking at noise", 2021),
iterated function systems (Kataoka et al., "Pre-training without natural images", 2020), gratings, weaves, gradients and
rendered parts, with scratches, stains, writing and what cameras do on top.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from daemon.datasets.rendered import Flaw, Scene, part

SIDE_PX = 160
Picture = npt.NDArray[np.float32]
Draw = Callable[[np.random.Generator], Picture]


def picture(seed: int) -> npt.NDArray[np.uint8]:
    """The picture (160, 160, 3) u8 of a seed."""
    rng = np.random.default_rng(seed)
    kinds: list[tuple[Draw, float]] = [
        (_dead_leaves, 0.3), (_noise, 0.2), (_fractal, 0.1), (_grating, 0.1), (_mixed, 0.2), (_part, 0.1)
    ]  # fmt: skip
    weights = np.array([share for _, share in kinds])
    drawn = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))][0](rng)
    if rng.random() < 0.5:
        drawn = _damaged(drawn, rng)
    return seen(drawn, rng)


def seen(drawn: Picture, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A picture (H, W, 3) in [0, 1] as some camera would show it: turned, cropped, lit, blurred, noisy, packed."""
    side = drawn.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-180, 180), float(rng.uniform(0.7, 2.0)))
    turn[:, 2] += (SIDE_PX - side) / 2
    moved = cv2.warpAffine(drawn, turn, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT)
    if rng.random() < 0.4:
        moved = np.repeat(moved.mean(axis=2, keepdims=True), 3, axis=2)
    moved = np.clip(moved, 0, 1) ** rng.uniform(0.5, 2.0)
    low, high = np.sort(rng.uniform(0, 1, 2))
    if high - low > 0.15:
        moved = low + (high - low) * moved
    if rng.random() < 0.3:
        moved = moved * rng.uniform(0.8, 1.25, 3)
    if rng.random() < 0.3:
        moved = cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.4, 2.0)))
    moved = moved + rng.standard_normal(moved.shape) * rng.exponential(0.012)
    pixels: npt.NDArray[np.uint8] = np.clip(np.rint(moved * 255), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])[1]
        pixels = cv2.imdecode(packed, cv2.IMREAD_COLOR).astype(np.uint8, copy=False)
    return pixels


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    grey, tint = rng.uniform(0, 1), rng.uniform(-1, 1, 3) * rng.uniform(0, 0.5)
    red, green, blue = np.clip(grey + tint, 0, 1).tolist()
    return red, green, blue


def _canvas(rng: np.random.Generator) -> Picture:
    return np.full((SIDE_PX, SIDE_PX, 3), _colour(rng), dtype=np.float32)


def _dead_leaves(rng: np.random.Generator) -> Picture:
    canvas = _canvas(rng)
    smallest = rng.uniform(2, 6)
    for _ in range(int(rng.integers(60, 300))):
        size = min(smallest * rng.pareto(1.5) + smallest, 90.0)
        x, y = (int(v) for v in rng.integers(-10, SIDE_PX + 10, 2))
        colour, kind = _colour(rng), rng.integers(0, 4)
        if kind == 0:
            cv2.circle(canvas, (x, y), int(size), colour, -1, cv2.LINE_AA)
        elif kind == 1:
            axes = (int(size), int(size * rng.uniform(0.2, 1)) + 1)
            cv2.ellipse(canvas, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            corners = np.stack([x + size * np.cos(angles), y + size * np.sin(angles)], axis=1)
            cv2.fillPoly(canvas, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    if rng.random() < 0.5:
        canvas *= 1 + rng.uniform(0.05, 0.4) * (_spectrum(rng) - 0.5)
    return canvas


def _spectrum(rng: np.random.Generator) -> Picture:
    """Noise (side, side, 1) in [0, 1] whose amplitude falls with a power of the frequency, along one axis faster."""
    across, along = np.meshgrid(np.fft.rfftfreq(SIDE_PX), np.fft.fftfreq(SIDE_PX))
    stretch = rng.uniform(0.05, 1) if rng.random() < 0.4 else 1.0
    frequency = np.sqrt(across**2 + (along * stretch) ** 2) + 1 / SIDE_PX
    white = rng.standard_normal((*frequency.shape, 2)) @ np.array([1, 1j])
    noise = np.fft.irfft2(white * frequency ** -rng.uniform(0.3, 2.2), (SIDE_PX, SIDE_PX))
    low, high = np.quantile(noise, [0.01, 0.99])
    levels: Picture = ((noise - low) / (high - low)).astype(np.float32)[..., None]
    return levels


def _noise(rng: np.random.Generator) -> Picture:
    one, other = np.array(_colour(rng), dtype=np.float32), np.array(_colour(rng), dtype=np.float32)
    share = _spectrum(rng)
    if rng.random() < 0.3:
        share = (share > rng.uniform(0.3, 0.7)).astype(np.float32)  # blobs with edges
    mixed = one + (other - one) * share
    return mixed + rng.uniform(0, 0.3) * (_spectrum(rng) - 0.5)


def _fractal(rng: np.random.Generator) -> Picture:
    canvas = _canvas(rng)
    count = int(rng.integers(2, 5))
    maps = rng.uniform(-0.9, 0.9, (count, 2, 2))
    maps *= rng.uniform(0.4, 0.85, (count, 1, 1)) / np.linalg.norm(maps, 2, axis=(1, 2), keepdims=True)
    moves = rng.uniform(-1, 1, (count, 2))
    points = rng.uniform(-1, 1, (1500, 2))
    for step in range(24):
        chosen = rng.integers(0, count, len(points))
        points = np.einsum("nij,nj->ni", maps[chosen], points) + moves[chosen]
        if step > 8:
            low, high = points.min(axis=0), points.max(axis=0)
            pixels = ((points - low) / (high - low + 1e-6) * (SIDE_PX - 1)).astype(int)
            canvas[pixels[:, 1], pixels[:, 0]] = _colour(rng)
    return cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.5, 1.5))).astype(np.float32)


def _grating(rng: np.random.Generator) -> Picture:
    x, y = np.meshgrid(np.arange(SIDE_PX), np.arange(SIDE_PX))
    share = np.zeros((SIDE_PX, SIDE_PX))
    for _ in range(int(rng.integers(1, 4))):
        angle, length = rng.uniform(0, np.pi), rng.uniform(4, 60)
        share += np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length + rng.uniform(0, 6))
    share = share / np.abs(share).max() / 2 + 0.5
    if rng.random() < 0.5:
        share = (share > 0.5).astype(float)
    if rng.random() < 0.3:
        share = np.clip((x - SIDE_PX / 2) * rng.uniform(-0.02, 0.02) + y / SIDE_PX, 0, 1)  # a plain gradient
    one, other = np.array(_colour(rng)), np.array(_colour(rng))
    striped: Picture = (one + (other - one) * share[..., None]).astype(np.float32)
    return striped


def _mixed(rng: np.random.Generator) -> Picture:
    """One picture on another, within a few shapes."""
    kinds = (_dead_leaves, _noise, _grating)
    below, above = (kinds[int(rng.integers(len(kinds)))](rng) for _ in range(2))
    where = np.zeros((SIDE_PX, SIDE_PX), dtype=np.float32)
    for _ in range(int(rng.integers(1, 6))):
        x, y, size = (int(v) for v in rng.integers(5, SIDE_PX, 3))
        cv2.circle(where, (x, y), size // 3 + 2, 1.0, -1, cv2.LINE_AA)
        cv2.rectangle(where, (y, x), (y + size // 2, x + size // 3), 1.0, -1)
    pasted: Picture = below + (above - below) * where[..., None]
    return pasted


def _part(rng: np.random.Generator) -> Picture:
    scene = Scene(light=float(rng.uniform(0.6, 1.5)), wear=float(rng.random()), warmth=float(rng.random()))
    flaw = list(Flaw)[int(rng.integers(len(Flaw)))] if rng.random() < 0.3 else None
    drawn = part(int(rng.integers(1 << 30)), scene, flaw)
    x, y = (int(v) for v in rng.integers(0, 256 - SIDE_PX, 2))
    cut: Picture = drawn[y : y + SIDE_PX, x : x + SIDE_PX].astype(np.float32) / 255
    return cut


def _damaged(drawn: Picture, rng: np.random.Generator) -> Picture:
    """Scratches, cracks, blots, specks and writing."""
    damaged = np.ascontiguousarray(drawn)
    for _ in range(int(rng.integers(1, 5))):
        x, y = (int(v) for v in rng.integers(10, SIDE_PX - 10, 2))
        colour, kind = _colour(rng), rng.integers(0, 5)
        if kind == 0:
            walk = np.cumsum(rng.normal(0, rng.uniform(1, 6), (30, 2)) + rng.normal(0, 3, 2), axis=0) + np.array([x, y])
            cv2.polylines(damaged, [walk.astype(np.int32)], False, colour, int(rng.integers(1, 3)), cv2.LINE_AA)
        elif kind == 1:
            end = (int(x + rng.normal(0, 50)), int(y + rng.normal(0, 50)))
            cv2.line(damaged, (x, y), end, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
        elif kind == 2:
            blot = np.zeros(damaged.shape[:2], dtype=np.float32)
            cv2.circle(blot, (x, y), int(rng.integers(3, 25)), float(rng.uniform(0.2, 0.9)), -1)
            blot = cv2.GaussianBlur(blot, (0, 0), float(rng.uniform(0.5, 5)))[..., None].astype(np.float32)
            damaged = np.ascontiguousarray(damaged + (np.array(colour, dtype=np.float32) - damaged) * blot)
        elif kind == 3:
            for speck in rng.normal((x, y), rng.uniform(3, 25), (int(rng.integers(3, 30)), 2)).astype(int).tolist():
                cv2.circle(damaged, (speck[0], speck[1]), int(rng.integers(1, 3)), colour, -1, cv2.LINE_AA)
        else:
            text = "".join(chr(int(c)) for c in rng.integers(48, 91, int(rng.integers(1, 8))))
            font, scale = int(rng.integers(0, 8)), float(rng.uniform(0.4, 2))
            written = np.zeros(damaged.shape[:2], dtype=np.uint8)
            cv2.putText(written, text, (x - 20, y), font, scale, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
            damaged[written > 127] = colour
    return damaged
