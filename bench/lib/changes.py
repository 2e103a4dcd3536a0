"""Streams in which something changes: those of the zoo, and rendered lines before, in and after a change."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench.lib.cases import ZOO, drawn
from bench.lib.rendered_lines import LINES, RenderedLine
from memory.features import Image

TAUGHT, CALM, CHANGED, BAD_SHARE = 60, 40, 60, 3
FIRST_STREAMED = 20_000  # the number of the first rendered part that is streamed
BLUR_PX, SHIFT_PX = 1.6, 12
CHATTER_LEVELS, CHATTER_PX = 14, 9


@dataclass(frozen=True)
class Played:
    """A part of a stream: its image file, whether it is good, and its stage."""

    path: Path
    good: bool
    stage: int


@dataclass(frozen=True)
class Stream:
    """Good parts to teach, and parts to judge in order."""

    name: str
    taught: tuple[Path, ...]
    played: tuple[Played, ...]

    @property
    def stages(self) -> list[int]:
        """The stages in order."""
        return sorted({part.stage for part in self.played})


def streams(folder: Path, names: Sequence[str], seed: int, *, short: bool) -> Iterator[Stream]:
    """The streams of these names, or all of them; rendered parts are drawn below `folder`, fewer for a short run."""
    if not short and ZOO.is_dir():
        subprocess.run([sys.executable, str(ZOO / "make_streams.py"), str(folder), str(seed)], check=True)
        for path in sorted(folder.glob("*.csv")):
            if not names or path.stem in names:
                yield _of_csv(path)
    for change, (line_name, changed) in CHANGES.items():
        line = next(line for line in LINES if line.name == line_name)
        name = f"{line.name}-{change}"
        if not names or name in names:
            yield _rendered(folder / name, name, line, changed, seed, part=8 if short else 1)


def _of_csv(path: Path) -> Stream:
    with path.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    played = tuple(
        Played(Path(row["image"]), row["label"] == "good", int(row["stage"])) for row in rows if row["role"] == "stream"
    )
    return Stream(path.stem, tuple(Path(row["image"]) for row in rows if row["role"] == "setup"), played)


def _rendered(
    folder: Path, name: str, line: RenderedLine, changed: Callable[[Image, float], Image], seed: int, part: int
) -> Stream:
    """Stage 1 as taught, with two kinds of defect, stage 2 changed, with all four, and stage 3 as taught again. A third
    as many bad parts as good ones; a `part`-th of all for a short run."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    taught = [drawn(folder, number, line.part(number)) for number in range(max(TAUGHT // part, 8))]
    played, number = [], FIRST_STREAMED + 1000 * seed
    for stage, count, kinds in ((1, CALM, line.flaws[:2]), (2, CHANGED, line.flaws), (3, CALM, line.flaws)):
        goods = max(count // part, 3)
        bads = max(goods // BAD_SHARE, 1)
        for i, good in enumerate(rng.permutation([True] * goods + [False] * bads).tolist()):
            number += 1
            image = line.part(number, None if good else kinds[number % len(kinds)])
            if stage == 2:
                image = changed(image, (i + 1) / (goods + bads))
            played.append(Played(drawn(folder, number, image), good, stage))
    return Stream(name, tuple(taught), tuple(played))


def _batch(image: Image, _: float) -> Image:
    """A new batch of material: darker, warmer and of more contrast."""
    toned = (image.astype(np.float32) - 128) * 1.25 + 118
    return _clipped(toned * np.array([1.06, 1.0, 0.9], np.float32))


def _white_balance(image: Image, _: float) -> Image:
    return _clipped(image * np.array([1.1, 1.0, 0.9], np.float32))


def _shift(image: Image, _: float) -> Image:
    move = np.array([[1, 0, SHIFT_PX], [0, 1, -SHIFT_PX]], dtype=np.float32)
    moved: Image = cv2.warpAffine(image, move, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    return moved


def _lamp(image: Image, _: float) -> Image:
    return _clipped(image * np.float32(0.8))


def _wear(image: Image, share: float) -> Image:
    """A tool that wears out and leaves marks across the part, part by part deeper."""
    down = np.arange(image.shape[0], dtype=np.float32)[:, None, None]
    return _clipped(image + np.float32(CHATTER_LEVELS * share) * np.sin(2 * np.pi * down / CHATTER_PX))


def _blur(image: Image, share: float) -> Image:
    """A lens that goes out of focus, part by part."""
    blurred: Image = cv2.GaussianBlur(image, (0, 0), max(BLUR_PX * share, 0.2))
    return blurred


def _clipped(image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Image:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


CHANGES: dict[str, tuple[str, Callable[[Image, float], Image]]] = {
    "batch": ("fabric", _batch),
    "white-balance": ("caps", _white_balance),
    "shift": ("boards", _shift),
    "lamp": ("castings", _lamp),
    "wear": ("wood", _wear),
    "blur": ("wood", _blur),
}
