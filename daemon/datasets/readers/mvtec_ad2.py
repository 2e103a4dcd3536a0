"""MVTec AD 2: the public test set, whose masks are known; the private ones are for the publishers' server alone.

Heckler-Kram et al., "The MVTec AD 2 Dataset: Advanced Scenarios for Unsupervised Anomaly Detection", 2025.
"""

from __future__ import annotations

from pathlib import Path

from daemon.datasets.labelled import GOOD, DataSet, LabelledImage, Split
from daemon.datasets.readers.files import images_of, others_of, required, some
from daemon.datasets.readers.mvtec import mask_of
from daemon.intake.decode import path_text

PUBLIC = "test_public"
PRIVATE = ("test_private", "test_private_mixed")


def read(folder: Path) -> DataSet:
    """The category in a folder. Raises LabelsError where good parts or the public test set are not there."""
    public = required(folder / PUBLIC, f"{PUBLIC}/ beside train/ and validation/")
    goods = some(images_of(folder / "train" / GOOD), folder / "train" / GOOD, "good parts")
    images = [LabelledImage(path, Split.TRAIN) for path in goods]
    images += [LabelledImage(path, Split.VALIDATION) for path in images_of(folder / "validation" / GOOD)]
    images += [LabelledImage(path, Split.TEST) for path in images_of(public / GOOD)]
    masks = public / "ground_truth"
    images += [LabelledImage(p, Split.TEST, "bad", mask_of(masks, "bad", p.stem)) for p in images_of(public / "bad")]
    ignored = [line for below in (public / GOOD, public / "bad") for line in others_of(below)]
    for name in PRIVATE:
        if count := len(images_of(folder / name)):
            ignored += [f"{path_text(folder / name)}: {count} images, whose labels are not published"]
    return DataSet(tuple(images), tuple(ignored))
