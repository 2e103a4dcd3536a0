"""Manifests of AWS Lookout for Vision, and of SageMaker Ground Truth: a JSON object a line.

https://docs.aws.amazon.com/lookout-for-vision/latest/developer-guide/manifest-files.html
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from daemon.datasets.annotations import MaskFile
from daemon.datasets.labelled import DataSet, LabelledImage, LabelsError, Split
from daemon.datasets.readers.files import read_text
from daemon.intake.decode import path_text

ANOMALY = "anomaly"
WHITE, HEX = "#ffffff", re.compile("#[0-9a-fA-F]{6}")


def read(manifest: Path, images: Path) -> DataSet:
    """The images that a manifest names, looked up below `images` by the end of their paths. A line that cannot be used
    is left out and told. Raises LabelsError where the manifest cannot be read, or names no good part."""
    found, ignored = [], []
    lines = read_text(manifest, "an MVTec-style folder or a manifest of JSON lines").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(_labelled(json.loads(line), images))
            except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
                ignored.append(f"{path_text(manifest)}, line {number}: {error}")
    if all(one.defective for one in found):
        raise LabelsError(
            expected="images of good parts: lines with a class-name of normal",
            came="; ".join([f"none in {manifest}", *ignored[:3]]),
            do="name the folder of the images by --images, or correct the lines",
        )
    return DataSet(tuple(found), tuple(ignored))


def _labelled(entry: dict[str, Any], images: Path) -> LabelledImage:
    classes = {m["class-name"] for key, m in entry.items() if key.endswith("-metadata") and "class-name" in m}
    if len(classes & {"normal", ANOMALY}) != 1:
        raise ValueError(f"its classes are {sorted(classes)}, expected normal or {ANOMALY}")
    image, mask = _there(entry["source-ref"], images), entry.get("anomaly-mask-ref")
    if ANOMALY not in classes:
        return LabelledImage(image, Split.TRAIN)
    if not mask:
        return LabelledImage(image, Split.TEST, ANOMALY)
    colours = entry.get("anomaly-mask-ref-metadata", {}).get("internal-color-map", {}).values()
    background = next((c["hex-color"] for c in colours if c["class-name"].upper() == "BACKGROUND"), WHITE)
    if not HEX.fullmatch(background):
        raise ValueError(f"its background is {background}")
    red, green, blue = bytes.fromhex(background[1:])
    return LabelledImage(image, Split.TEST, ANOMALY, MaskFile(_there(mask, images), ANOMALY, (red, green, blue)))


def _there(reference: str, images: Path) -> Path:
    """The file below `images` whose path matches the longest end of the reference's path."""
    path = PurePosixPath(reference.partition("://")[2] or reference)
    parts = path.relative_to(path.anchor).parts
    for start in range(len(parts)):
        file = images.joinpath(*parts[start:])
        if ".." not in parts and file.is_file():
            return file
    raise ValueError(f"{reference} is not below {images}")
