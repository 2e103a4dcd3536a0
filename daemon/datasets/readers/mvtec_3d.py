"""MVTec 3D-AD: each view as a colour image and as the position of every pixel, in `rgb`, `xyz` and `gt` of its kind.

Bergmann et al., "The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection and Localization", VISAPP 2022. `xyz` is
a TIFF of three floats a pixel, (0, 0, 0) where nothing was measured.
"""

from __future__ import annotations

from pathlib import Path

from daemon.datasets.annotations import MaskFile
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage
from daemon.datasets.readers.files import images_of, kinds_of, others_of, required, with_goods


def read(folder: Path) -> DataSet:
    """The category in a folder. Raises LabelsError where there are no good parts, or a view lacks its positions."""
    images, ignored = [], []
    for split, kind in kinds_of(folder):
        ignored += others_of(kind / "rgb")
        for path in images_of(kind / "rgb"):
            depth = required(kind / "xyz" / f"{path.stem}.tiff", f"the positions of {path}")
            mask = kind / "gt" / f"{path.stem}.png"
            marks = MaskFile(mask, kind.name) if kind.name != GOOD and mask.exists() else None
            images.append(LabelledImage(path, split, kind.name, marks, depth=depth))
    return with_goods(images, ignored, folder / "train/good/rgb")
