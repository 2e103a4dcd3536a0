"""VisA: `split_csv/1cls.csv` says which image is for what; masks hold numbers of classes, from 1 on.

Zou et al., "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation", ECCV 2022.
"""

from __future__ import annotations

import csv
from pathlib import Path

from daemon.datasets.annotations import MaskFile
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, LabelsError, Split
from daemon.datasets.readers.files import is_image, read_text, required, with_goods

LIST = Path("split_csv") / "1cls.csv"
COLUMNS = {"object", "split", "label", "image", "mask"}
ANOMALY = "anomaly"


def read(folder: Path) -> DataSet:
    """The category in a folder, by the list beside it. Raises LabelsError where the list is not there or names no good
    parts of it."""
    root = folder.parent
    lines = read_text(required(root / LIST, f"{LIST} beside the categories"), "a list of images").splitlines()
    table = csv.DictReader(lines)
    if not set(table.fieldnames or ()) >= COLUMNS:
        raise LabelsError(
            expected=f"the columns {', '.join(sorted(COLUMNS))}",
            came=f"{root / LIST}: {table.fieldnames}",
            do="get the set again",
        )
    images, ignored = [], []
    for row in table:
        if row["object"] != folder.name:
            continue
        path, mask = root / (row["image"] or ""), row["mask"] or ""
        if row["split"] not in set(Split) or row["label"] not in {"normal", ANOMALY}:
            ignored.append(f"{LIST}, line {table.line_num}: split {row['split']!r}, label {row['label']!r}")
        elif not is_image(path) or (mask and not is_image(root / mask)):
            ignored.append(f"{LIST}, line {table.line_num}: {row['image']} or its mask is not there")
        else:
            kind = ANOMALY if row["label"] == ANOMALY else GOOD
            marks = MaskFile(root / mask, kind) if mask and kind == ANOMALY else None
            images.append(LabelledImage(path, Split(row["split"]), kind, marks))
    return with_goods(images, ignored, folder)
