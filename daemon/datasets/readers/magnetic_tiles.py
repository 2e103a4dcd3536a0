"""Magnetic tiles: `MT_Free/Imgs` are good, five more folders hold a kind of defect each, with a mask of the same name.

Huang et al., "Surface defect saliency of magnetic tile", The Visual Computer 36, 2020. Each tile was photographed under
up to six exposures, and nobody published a split. Images whose running numbers lie within 200 of each other show one
tile: to split them by image puts one tile on both sides, which was worth 8 to 10 points of AUROC. So parts are split
here: two of three tiles that are good in all images are for training, all others for testing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from daemon.datasets.annotations import MaskFile
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.datasets.readers.files import images_of, required, some
from daemon.intake.decode import path_text

FREE = "MT_Free"
NAMED = re.compile(r"exp\d+_num_(\d+)")
GAP = 200


def read(folder: Path) -> DataSet:
    """The set in a folder. Raises LabelsError where there are no good tiles."""
    some(images_of(required(folder / FREE / "Imgs", f"{FREE}/Imgs")), folder / FREE, "good tiles")
    shots, ignored = [], []
    for path in sorted(path for below in folder.glob("MT_*") for path in images_of(below / "Imgs")):
        if path.suffix == ".png":
            continue
        if named := NAMED.fullmatch(path.stem):
            shots.append((int(named[1]), path))
        else:
            ignored.append(f"{path_text(path)}: not named exp…_num_…")
    images: list[LabelledImage] = []
    taught = 0
    for number, paths in enumerate(_tiles(sorted(shots))):
        good = all(_kind(path) == GOOD for path in paths)
        taught += good
        split = Split.TRAIN if good and taught % 3 else Split.TEST
        images += [_labelled(path, split, str(number)) for path in paths]
    return DataSet(tuple(images), tuple(ignored))


def _tiles(shots: list[tuple[int, Path]]) -> Iterator[list[Path]]:
    tile: list[Path] = []
    before = None
    for number, path in shots:
        if before is not None and number - before > GAP:
            yield tile
            tile = []
        tile.append(path)
        before = number
    if tile:
        yield tile


def _kind(path: Path) -> str:
    folder = path.parent.parent.name
    return GOOD if folder == FREE else folder.removeprefix("MT_").lower()


def _labelled(path: Path, split: Split, part: str) -> LabelledImage:
    kind, mask = _kind(path), path.with_suffix(".png")
    marks = MaskFile(mask, kind) if kind != GOOD and mask.exists() else None
    return LabelledImage(path, split, kind, marks, part)
