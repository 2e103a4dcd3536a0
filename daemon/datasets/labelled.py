"""Readers of labelled data sets: an AWS Lookout for Vision manifest, or a folder laid out as MVTec AD."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from daemon.intake.decode import SUFFIXES
from daemon.ledger.records import Box
from memory.errors import DriftlineError

GOOD = "good"
BLACK, WHITE, HEX = "#000000", "#ffffff", re.compile("#[0-9a-fA-F]{6}")


class LabelsError(DriftlineError):
    """The data set is not of a kind that is known, or names an image that is not there."""


@dataclass(frozen=True)
class Labelled:
    """A labelled image: whether it shows a defect, and the defect's mask, if there is one, in another colour than its
    `background`."""

    path: Path
    defective: bool
    mask: Path | None = None
    background: str = BLACK

    @property
    def box(self) -> Box | None:
        """The box around the mask: left, top, right, bottom as shares of the image; None without a mask. Raises
        LabelsError for a mask that is no image."""
        if self.mask is None:
            return None
        mask = cv2.imread(str(self.mask), cv2.IMREAD_COLOR)  # (H, W, 3), blue first
        if mask is None:
            raise LabelsError(expected="a mask", came=f"no image: {self.mask}", do="put it right, or take it away")
        blue_first = tuple(bytes.fromhex(self.background[1:])[::-1])
        return box_of((mask != blue_first).any(axis=2))


def box_of(marked: npt.NDArray[np.bool_]) -> Box | None:
    """The box around the marked pixels (H, W), as shares of the image; None where there are none."""
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not len(rows):
        return None
    height, width = marked.shape
    left, top = float(columns[0]) / width, float(rows[0]) / height
    return left, top, float(columns[-1] + 1) / width, float(rows[-1] + 1) / height


def labelled(source: Path, images: Path | None) -> list[Labelled]:
    """The images of an MVTec-style folder (`train/good`, `test/good`, `test/KIND`, `ground_truth/KIND`), or those that
    a Lookout for Vision manifest names, looked up below `images` (default: the manifest's folder) by the end of their
    paths. Raises LabelsError naming what is wrong."""
    parts = _folder(source) if source.is_dir() else _manifest(source, images or source.parent)
    if not any(not one.defective for one in parts):
        raise LabelsError(
            expected="images of good parts: train/good in an MVTec-style folder, class normal in a manifest",
            came=f"none in {source}",
            do="name the folder that holds train/, or the manifest",
        )
    return parts


def _folder(root: Path) -> list[Labelled]:
    parts = []
    for path in sorted(root.glob("*/*/*")):
        folder, kind, _ = path.relative_to(root).parts
        if folder in {"train", "test"} and path.suffix.lower() in SUFFIXES:
            masks = [root / "ground_truth" / kind / f"{path.stem}{end}.png" for end in ("_mask", "")]
            parts.append(Labelled(path, kind != GOOD, next((m for m in masks if m.exists()), None)))
    return parts


def _manifest(file: Path, images: Path) -> list[Labelled]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError(
            expected="an MVTec-style folder or a manifest of JSON lines", came=str(error), do="check the path"
        ) from error
    parts = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                parts.append(_line(json.loads(line), images))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise LabelsError(
                    expected="a line with source-ref and a class-name of normal or anomaly",
                    came=f"{file}, line {number}: {error}",
                    do="correct that line",
                ) from error
    return parts


def _line(entry: dict[str, Any], images: Path) -> Labelled:
    classes = {m["class-name"] for key, m in entry.items() if key.endswith("-metadata") and "class-name" in m}
    if len(classes & {"normal", "anomaly"}) != 1:
        raise ValueError(f"its classes are {sorted(classes)}")
    image, defective, mask = _there(entry["source-ref"], images), "anomaly" in classes, entry.get("anomaly-mask-ref")
    if not mask:
        return Labelled(image, defective)
    colours = entry.get("anomaly-mask-ref-metadata", {}).get("internal-color-map", {}).values()
    background = next((c["hex-color"] for c in colours if c["class-name"].upper() == "BACKGROUND"), WHITE)
    if not HEX.fullmatch(background):
        raise ValueError(f"its background is {background}")
    return Labelled(image, defective, _there(mask, images), background)


def _there(reference: str, images: Path) -> Path:
    """The file below `images` whose path matches the longest end of the reference's path."""
    path = PurePosixPath(reference.partition("://")[2] or reference)
    parts = path.relative_to(path.anchor).parts
    for start in range(len(parts)):
        file = images.joinpath(*parts[start:])
        if ".." not in parts and file.is_file():
            return file
    raise ValueError(f"{reference} is not below {images}")
