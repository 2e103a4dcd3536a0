"""KolektorSDD2: `train` and `test`, each with `NAME.png` and `NAME_GT.png`; what is marked nowhere is good.

Božič et al., "Mixed supervision for surface-defect detection: from weakly to fully supervised learning", Computers in
Industry 129, 2021. Sizes differ from image to image. Its train folder holds a stray copy of one file.
"""

from __future__ import annotations

from pathlib import Path

from daemon.datasets.annotations import MaskFile, marks_anything
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.datasets.readers.files import images_of, others_of, required, with_goods
from daemon.intake.decode import path_text

MARKS = "_GT"
DEFECT = "defect"


def read(folder: Path) -> DataSet:
    """The set in a folder. Raises LabelsError where train or test are not there, or a mask cannot be read."""
    images, ignored = [], []
    for split in (Split.TRAIN, Split.TEST):
        below = required(folder / split, "train/ and test/")
        ignored += others_of(below)
        files = {path.stem: path for path in images_of(below)}
        for stem, path in files.items():
            if "copy" in stem:
                ignored.append(f"{path_text(path)}: a copy of another file")
            elif stem.endswith(MARKS):
                if stem.removesuffix(MARKS) not in files:
                    ignored.append(f"{path_text(path)}: a mask without its image")
            elif (mask := files.get(f"{stem}{MARKS}")) is None:
                ignored.append(f"{path_text(path)}: an image without its mask {stem}{MARKS}.png")
            else:
                kind = DEFECT if marks_anything(mask) else GOOD
                images.append(LabelledImage(path, split, kind, MaskFile(mask, kind) if kind == DEFECT else None))
    return with_goods(images, ignored, folder / "train")
