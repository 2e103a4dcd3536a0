"""MVTec AD, and every folder laid out as it: `train/good`, `test/good`, `test/KIND`, `ground_truth/KIND`.

The zoo, many sets of other authors and our own export have this layout. A mask is `NAME_mask` or `NAME`, of any image
format, or a folder `NAME` of masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daemon.datasets.annotations import MaskFile, MaskFolder
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.datasets.readers.files import images_of, is_image, kinds_of, others_of, required, some
from daemon.intake.decode import path_text

FOLDERS = {"train": Split.TRAIN, "validation": Split.VALIDATION, "val": Split.VALIDATION, "test": Split.TEST}
MASKS = "ground_truth"


def read(folder: Path) -> DataSet:
    """The category in a folder. Raises LabelsError where there are no good parts."""
    required(folder, "a folder with train/ and test/")
    images, ignored = [], []
    for split, kind in kinds_of(folder, FOLDERS):
        ignored += others_of(kind)
        images += [_labelled(folder, path, split, kind.name) for path in images_of(kind)]
    some((one.path for one in images if not one.defective), folder, "good parts, as in train/good")
    return DataSet(tuple(images), (*ignored, *_masks_without_image(folder, images)))


def mask_of(folder: Path, kind: str, stem: str) -> MaskFile | MaskFolder | None:
    """The mask of an image, by its name, in `folder/kind`; None where there is none."""
    below = folder / kind
    for path in sorted(below.glob(f"{_literal(stem)}*")):
        if path.stem in {stem, f"{stem}_mask"} and is_image(path):
            return MaskFile(path, kind)
        if path.name == stem and path.is_dir():
            return MaskFolder(tuple(images_of(path)), kind)
    return None


def _labelled(folder: Path, path: Path, split: Split, kind: str) -> LabelledImage:
    return LabelledImage(path, split, kind, None if kind == GOOD else mask_of(folder / MASKS, kind, path.stem))


def _masks_without_image(folder: Path, images: list[LabelledImage]) -> Iterator[str]:
    known = {(one.kind, one.path.stem) for one in images}
    for path in sorted((folder / MASKS).glob("*/*")):
        name = path.name if path.is_dir() else path.stem.removesuffix("_mask")
        if (path.parent.name, name) not in known:
            yield f"{path_text(path)}: a mask without its image"


def _literal(stem: str) -> str:
    """A name as a pattern that matches it alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
