"""Severstal: steel sheets with four kinds of defects as run lengths, from a Kaggle competition of 2019.

`train.csv` has a row for each image and kind (`ImageId, ClassId, EncodedPixels`; at first `ImageId_ClassId,
EncodedPixels`); what has no runs is good. The labels of the test images were never published, so every fifth image by
name is for testing here.
"""

from __future__ import annotations

import csv
from pathlib import Path

from daemon.datasets.annotations import RunLengths
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, LabelsError, Split
from daemon.datasets.readers.files import images_of, read_text, required, some

LIST, PICTURES = "train.csv", "train_images"
TESTED = 5  # one in so many


def read(folder: Path) -> DataSet:
    """The set in a folder. Raises LabelsError where images or list are not there, or the list has other columns."""
    paths = some(images_of(required(folder / PICTURES, f"{PICTURES}/ beside {LIST}")), folder / PICTURES, "sheets")
    runs, ignored = _runs(folder / LIST, {path.name for path in paths})
    images = []
    for number, path in enumerate(paths):
        split = Split.TEST if number % TESTED == TESTED - 1 else Split.TRAIN
        own = runs.get(path.name, {})
        kind = " and ".join(sorted(own)) or GOOD
        images.append(LabelledImage(path, split, kind, RunLengths(own, f"{LIST}, {path.name}") if own else None))
    return DataSet(tuple(images), tuple(ignored))


def _runs(path: Path, known: set[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The runs by kind of each image, and a word on each row that names no image."""
    table = csv.DictReader(read_text(path, f"{LIST} beside {PICTURES}/").splitlines())
    columns = set(table.fieldnames or ())
    if not ({"ImageId", "ClassId", "EncodedPixels"} <= columns or {"ImageId_ClassId", "EncodedPixels"} <= columns):
        raise LabelsError(
            expected="the columns ImageId, ClassId, EncodedPixels",
            came=f"{path}: {table.fieldnames}",
            do="get the set again",
        )
    runs: dict[str, dict[str, str]] = {}
    ignored = []
    for row in table:
        joined = (row.get("ImageId_ClassId") or "").rpartition("_")
        image, kind = (row["ImageId"], row["ClassId"]) if "ImageId" in row else (joined[0], joined[2])
        if image not in known:
            ignored.append(f"{LIST}, line {table.line_num}: {image} is not in {PICTURES}/")
        elif (row["EncodedPixels"] or "").strip():
            runs.setdefault(image, {})[f"kind {kind}"] = row["EncodedPixels"]
    return runs, ignored
