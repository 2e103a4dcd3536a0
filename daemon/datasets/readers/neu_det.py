"""NEU-DET: hot-rolled steel with six kinds of defects, boxes in Pascal VOC's XML; no good parts.

Song and Yan, "A noise robust method based on completed local binary patterns for hot-rolled steel strip surface
defects", Applied Surface Science 285, 2013; boxes by He et al., IEEE TIM 69, 2020. Its files differ from what they say:
the XML tells one channel where the JPEGs hold three equal ones, names some images without `.jpg`, and holds boxes of
other kinds than the file's name. So the image is the one of the XML's own name, and each box keeps its own kind.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from daemon.datasets.annotations import Boxes, NamedBox
from daemon.datasets.labelled import DataSet, LabelledImage, LabelsError, Split
from daemon.datasets.readers.files import is_image, read_text, required, some
from daemon.intake.decode import path_text

LAYOUTS = {
    Split.TRAIN: (("train/images", "train/annotations"), ("IMAGES", "ANNOTATIONS")),
    Split.VALIDATION: (("validation/images", "validation/annotations"),),
}
CORNERS = ("xmin", "ymin", "xmax", "ymax")
NUMBERED = re.compile(r"_\d+$")
DECLARATION = re.compile(r"<!DOCTYPE|<!ENTITY", re.IGNORECASE)


def read(folder: Path) -> DataSet:
    """The set in a folder, as Kaggle or its authors packed it. Raises LabelsError where there are no images, or an XML
    file is none."""
    required(folder, "a folder with train/images and train/annotations, or IMAGES and ANNOTATIONS")
    images, ignored = [], []
    for split, layouts in LAYOUTS.items():
        for pictures, notes in layouts:
            files = {path.stem: path for path in sorted((folder / pictures).rglob("*")) if is_image(path)}
            for note in sorted((folder / notes).glob("*.xml")):
                if note.stem not in files:
                    ignored.append(f"{path_text(note)}: boxes without their image")
                else:
                    path = files.pop(note.stem)
                    images.append(LabelledImage(path, split, NUMBERED.sub("", path.stem), Boxes(_boxes(note))))
            ignored += [f"{path_text(path)}: an image without boxes" for path in files.values()]
    some((one.path for one in images), folder, "defects, with boxes")
    return DataSet(tuple(images), tuple(ignored))


def _boxes(note: Path) -> tuple[NamedBox, ...]:
    text = read_text(note, "Pascal VOC's XML")
    try:
        if DECLARATION.search(text):
            raise ValueError("a declaration of its own, which no such file needs")
        root = ElementTree.fromstring(text)  # noqa: S314  # without declarations nothing can grow
        width, height = (float(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        boxes = []
        for thing in root.iter("object"):
            left, top, right, bottom = (float(thing.findtext(f"bndbox/{corner}", "")) for corner in CORNERS)
            if not (0 <= left <= right <= width and 0 <= top <= bottom <= height):
                raise ValueError(f"a box of {left:g} {top:g} {right:g} {bottom:g} in {width:g}×{height:g}")
            # Corners are pixels, both inside, and the first is 1; a few boxes begin at 0.
            box = (max(left - 1, 0) / width, max(top - 1, 0) / height, right / width, bottom / height)
            boxes.append(NamedBox(thing.findtext("name", ""), box))
    except (ElementTree.ParseError, ValueError) as error:
        raise LabelsError(
            expected="boxes in Pascal VOC's XML", came=f"{path_text(note)}: {error}", do="correct that file"
        ) from error
    return tuple(boxes)
