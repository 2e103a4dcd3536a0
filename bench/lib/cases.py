"""The sets that a detector is judged on: the zoo's, the tiles in the light they were taught in, and rendered lines."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.lib.material import SHARED, TILES_SEED, Material, material
from bench.lib.rendered_lines import LINES
from daemon.learning.teach import images_in
from memory.features import Image

ZOO = SHARED / "data" / "zoo"
JUDGED = 50  # good and as many bad ones at most, as shared/tools/judge_sets.py takes them
SEED = 7
RENDERED = 10_000  # the number of the first rendered part that is judged
RENDERED_TAUGHT = 60

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shown:
    """A part that is judged: its image file, whether it is bad, and the file of its mask where one is known."""

    path: Path
    bad: bool
    mask: Path | None = None

    def marked(self, height: int, width: int) -> Mask | None:
        """Where it is bad (height, width); nowhere for a good part, None where nobody knows."""
        if not self.bad:
            return np.zeros((height, width), dtype=bool)
        if self.mask is None:
            return None
        mask = cv2.imread(str(self.mask), cv2.IMREAD_GRAYSCALE)
        return cv2.resize((mask > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0


@dataclass(frozen=True)
class Case:
    """A set: good parts to teach, in the order in which fewer are taken, and parts to judge."""

    name: str
    taught: tuple[Path, ...]
    shown: tuple[Shown, ...]


def cases(folder: Path, names: Sequence[str], *, short: bool, few: int = 4) -> Iterator[Case]:
    """The sets of these names, or all of them; rendered parts are drawn below `folder`. For a short run, `few` parts of
    two rendered lines alone."""
    if not short:
        for path in sorted(each for each in ZOO.iterdir() if (each / "train").is_dir()):
            if not names or path.name in names:
                yield _of_zoo(path)
        for seed in (TILES_SEED, 1, 2):
            if not names or f"tiles-{seed}" in names:
                yield _of_tiles(material(short=False), seed)
    for line in LINES[:2] if short else LINES:
        if not names or line.name in names:
            taught, judged = (few, few) if short else (RENDERED_TAUGHT, 40)
            goods = [(number, None) for number in range(RENDERED, RENDERED + judged)]
            bads = [(RENDERED + judged + i, line.flaws[i % len(line.flaws)]) for i in range(judged)]
            below = folder / line.name
            below.mkdir()
            files = [drawn(below, number, line.part(number)) for number in range(taught)]
            looked = [(drawn(below, number, line.part(number, flaw)), flaw) for number, flaw in goods + bads]
            shown = [Shown(path, bad=flaw is not None) for path, flaw in looked]
            yield Case(line.name, tuple(files), tuple(shown))


def _of_zoo(folder: Path) -> Case:
    drawn = random.Random(SEED)  # noqa: S311  # the draw of judge_sets.py
    taught = images_in(folder / "train" / "good")
    picked = sorted(drawn.sample(taught, min(60, len(taught))))
    rest = [path for path in taught if path not in set(picked)]
    good = _picked(drawn, images_in(folder / "test" / "good"))
    kinds = sorted(kind for kind in (folder / "test").iterdir() if kind.is_dir() and kind.name != "good")
    bad = _picked(drawn, [path for kind in kinds for path in images_in(kind)])
    shown = [Shown(path, bad=False) for path in good] + [Shown(path, True, _mask_of(folder, path)) for path in bad]
    return Case(folder.name, (*random.Random(SEED).sample(picked, len(picked)), *rest), tuple(shown))  # noqa: S311


def _of_tiles(on: Material, seed: int) -> Case:
    rows = on.shots(seed)
    probes = [row for row in rows if row.role == "probe" and row.stage == 1]
    return Case(
        f"tiles-{seed}",
        tuple(row.image for row in rows if row.role == "setup"),
        tuple(Shown(row.image, row.defective, row.mask if row.defective else None) for row in probes),
    )


def _picked(drawn: random.Random, paths: list[Path]) -> list[Path]:
    return sorted(drawn.sample(paths, min(JUDGED, len(paths))))


def _mask_of(folder: Path, path: Path) -> Path | None:
    mask = folder / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
    return mask if mask.exists() else None


def drawn(folder: Path, number: int, image: Image) -> Path:
    """The file of a rendered part, written here."""
    path = folder / f"{number:05d}.png"
    cv2.imwrite(str(path), image[:, :, ::-1])
    return path
