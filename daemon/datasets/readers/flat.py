"""A folder of folders, as anomalib's `Folder` takes it: good parts in one, each kind of defect in another, masks in a
third of any of the usual names. Nobody has split it: every fifth good part is for testing, and all defects are.

https://anomalib.readthedocs.io/en/latest/markdown/guides/how_to/data/custom_data.html
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daemon.datasets.annotations import MaskFile, MaskFolder
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.datasets.readers.files import images_of, others_of, required, some
from daemon.datasets.readers.mvtec import mask_of

GOODS = ("good", "normal", "ok", "ok_front")
MASKS = ("ground_truth", "mask", "masks")
TESTED = 5  # one in so many


def read(folder: Path) -> DataSet:
    """The set in a folder. Raises LabelsError where no folder is named as one of good parts."""
    kinds = {path.name: path for path in sorted(required(folder, "a folder of folders").iterdir()) if path.is_dir()}
    images, ignored = [], others_of(folder)
    for name, below in kinds.items():
        ignored += others_of(below)
        for path in images_of(below) if name not in MASKS else ():
            if name in GOODS:
                images.append(LabelledImage(path, Split.TRAIN))
            else:
                images.append(LabelledImage(path, Split.TEST, name, _mask(folder, name, path)))
    some((one.path for one in images if one.kind == GOOD), folder, f"good parts, in a folder {', '.join(GOODS)}")
    return held_out(DataSet(tuple(images), tuple(ignored)))


def held_out(data: DataSet) -> DataSet:
    """The set with every fifth good part for testing instead of training."""
    tested = {one.path for one in data.goods[TESTED - 1 :: TESTED]}
    images = (replace(one, split=Split.TEST) if one.path in tested else one for one in data.images)
    return replace(data, images=tuple(images))


def _mask(folder: Path, kind: str, path: Path) -> MaskFile | MaskFolder | None:
    """The mask of an image, in a folder of its kind or beside those of other kinds."""
    for place in MASKS:
        if mask := mask_of(folder / place, kind, path.stem) or mask_of(folder, place, path.stem):
            return replace(mask, kind=kind)
    return None
