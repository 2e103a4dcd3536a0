"""Boxes as YOLO has them, as most sets of weld X-rays: `images`, and `labels` with a line for each box.

A line is `kind x y width height`, or `kind x1 y1 x2 y2 …` for a polygon. Numbers are shares of the image, x and y those
of the middle; an empty file, or one of kinds named good, means a good part. Names of the kinds come from `data.yaml`,
where it is there. Folders are `train/images` (Roboflow) or `images/train` (Ultralytics).
https://docs.ultralytics.com/datasets/detect/
"""

from __future__ import annotations

from pathlib import Path

import yaml

from daemon.datasets.annotations import Boxes, NamedBox
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, LabelsError, Split
from daemon.datasets.readers.files import images_of, read_text, required, some
from daemon.intake.decode import path_text

FOLDERS = {"train": Split.TRAIN, "valid": Split.VALIDATION, "val": Split.VALIDATION, "test": Split.TEST}
SLACK = 1e-3  # by which rounded boxes may stand out of the image


def read(folder: Path) -> DataSet:
    """The set in a folder. Raises LabelsError where there are no images, or a line is no box."""
    names = _names(required(folder, "a folder with images and labels"))
    images, ignored = [], []
    for name, split in FOLDERS.items():
        for pictures, notes in ((f"{name}/images", f"{name}/labels"), (f"images/{name}", f"labels/{name}")):
            for path in images_of(folder / pictures):
                note = folder / notes / f"{path.stem}.txt"
                if not note.exists():
                    ignored.append(f"{path_text(path)}: no labels: whether it is good is not known")
                    continue
                boxes = tuple(box for box in _boxes(note, names) if not box.kind.lower().startswith(GOOD))
                kind = boxes[0].kind if boxes else GOOD
                images.append(LabelledImage(path, split, kind, Boxes(boxes) if boxes else None))
    some((one.path for one in images), folder, "parts, with labels")
    return DataSet(tuple(images), tuple(ignored))


def _names(folder: Path) -> dict[int, str]:
    path = folder / "data.yaml"
    if not path.exists():
        return {}
    try:
        names = yaml.safe_load(read_text(path, "data.yaml"))["names"]
        return {
            int(number): str(name) for number, name in (names.items() if isinstance(names, dict) else enumerate(names))
        }
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise LabelsError(
            expected="names of the kinds in data.yaml", came=f"{path_text(path)}: {error}", do="correct it"
        ) from error


def _boxes(note: Path, names: dict[int, str]) -> tuple[NamedBox, ...]:
    boxes = []
    for number, line in enumerate(read_text(note, "a file of boxes").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            kind, left, top, right, bottom = _box(line.split())
            if not (-SLACK <= left < right <= 1 + SLACK and -SLACK <= top < bottom <= 1 + SLACK):
                raise ValueError("the box is not within the image")
            named = names.get(int(kind), f"kind {int(kind)}")
        except ValueError as error:
            raise LabelsError(
                expected="kind x y width height, or a polygon, in shares of the image",
                came=f"{path_text(note)}, line {number}: {line[:60]!r}: {error}",
                do="correct that line",
            ) from error
        boxes.append(NamedBox(named, (max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0))))
    return tuple(boxes)


def _box(words: list[str]) -> tuple[str, float, float, float, float]:
    """The kind of a line and its box: by middle and size, or around the corners of a polygon, which exports mix in."""
    kind, *numbers = words
    values = [float(number) for number in numbers]
    if len(values) == 4:
        x, y, width, height = values
        return kind, x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"{len(values)} numbers")
    return kind, min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
