"""MVTec LOCO AD: structural and logical anomalies, each region with the part of it that must be found.

Bergmann et al., "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and Localization",
IJCV 130, 2022. A mask's value names its kind in `defects_config.json`, with the saturation threshold of sPRO.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from daemon.datasets.annotations import DefectKind, MaskFolder
from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, LabelsError
from daemon.datasets.readers.files import images_of, kinds_of, others_of, read_text, required, some, with_goods

CONFIGURATION = "defects_config.json"


def read(folder: Path) -> DataSet:
    """The category in a folder. Raises LabelsError where its configuration or its good parts are not there, or a test
    image of a defect has no folder of masks."""
    kinds = _kinds(required(folder / CONFIGURATION, f"{CONFIGURATION} beside train/ and test/"))
    images, ignored = [], []
    for split, below in kinds_of(folder):
        ignored += others_of(below)
        for path in images_of(below):
            marks = None
            if below.name != GOOD:
                masks = required(folder / "ground_truth" / below.name / path.stem, f"the masks of {path}")
                marks = MaskFolder(tuple(some(images_of(masks), masks, f"the masks of {path}")), below.name, kinds)
            images.append(LabelledImage(path, split, below.name, marks))
    return with_goods(images, ignored, folder / "train/good")


def _kinds(path: Path) -> dict[int, DefectKind]:
    try:
        entries: list[dict[str, Any]] = json.loads(read_text(path, CONFIGURATION))
        kinds = {
            int(entry["pixel_value"]): DefectKind(
                str(entry["defect_name"]), float(entry["saturation_threshold"]), bool(entry["relative_saturation"])
            )
            for entry in entries
        }
        if not kinds:
            raise ValueError("no kinds of defects")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise LabelsError(
            expected="a list of defect_name, pixel_value, saturation_threshold and relative_saturation",
            came=f"{path}: {type(error).__name__}: {error}",
            do="get the set again",
        ) from error
    return kinds
