"""The ways in which data sets say where a defect is: mask files, folders of masks, boxes, run lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.datasets.labelled import DefectRegion, LabelsError, Mask
from daemon.intake.decode import path_text
from daemon.ledger.records import Box

BLACK = (0, 0, 0)


@dataclass(frozen=True)
class MaskFile:
    """A file in the size of the image, of any depth: a pixel is marked where it differs from the `background`, RGB.

    Masks of some sets hold the number of a class instead of white: 1 marks as 255 does.
    """

    path: Path
    kind: str
    background: tuple[int, int, int] = BLACK

    def regions(self, height: int, width: int) -> Iterator[DefectRegion]:
        """One region, if any pixel is marked."""
        values = mask_values(self.path, height, width)
        colour = np.array(self.background[::-1], dtype=values.dtype)
        marked = np.asarray((values != colour).any(axis=2) if values.ndim == 3 else values != self.background[0])
        if marked.any():
            yield DefectRegion(self.kind, marked)


@dataclass(frozen=True)
class DefectKind:
    """A kind of defect of MVTec LOCO: marking `saturation` finds it whole, in pixels, or as a share of its region where
    it is `relative`."""

    name: str
    saturation: float
    relative: bool


@dataclass(frozen=True)
class MaskFolder:
    """A folder with a mask file for each defect. Where `kinds` are known, a mask's value names its kind."""

    paths: tuple[Path, ...]
    kind: str
    kinds: Mapping[int, DefectKind] = field(default_factory=dict)

    def regions(self, height: int, width: int) -> Iterator[DefectRegion]:
        """A region for each file."""
        for path in self.paths:
            values = mask_values(path, height, width)
            marked = np.asarray(values.any(axis=2) if values.ndim == 3 else values > 0)
            if not marked.any():
                continue
            named = self.kinds.get(int(values[marked].max()))
            if self.kinds and named is None:
                raise LabelsError(
                    expected=f"one of the values {sorted(self.kinds)} of defects_config.json",
                    came=f"{int(values[marked].max())} in {path}",
                    do="get the set again: mask and configuration do not belong together",
                )
            if named is None:
                yield DefectRegion(self.kind, marked)
            else:
                whole = named.saturation * marked.sum() if named.relative else named.saturation
                yield DefectRegion(named.name, marked, float(min(whole, marked.sum())))


@dataclass(frozen=True)
class NamedBox:
    """A box as shares of the image, with its kind."""

    kind: str
    box: Box


@dataclass(frozen=True)
class Boxes:
    """Boxes around defects; all of a box counts as marked."""

    boxes: tuple[NamedBox, ...]

    def regions(self, height: int, width: int) -> Iterator[DefectRegion]:
        """A region for each box, of at least a pixel."""
        for each in self.boxes:
            left, top, right, bottom = each.box
            mask = np.zeros((height, width), dtype=bool)
            rows = slice(_pixel(top, height), max(round(bottom * height), _pixel(top, height) + 1))
            mask[rows, _pixel(left, width) : max(round(right * width), _pixel(left, width) + 1)] = True
            yield DefectRegion(each.kind, mask)


@dataclass(frozen=True)
class RunLengths:
    """Runs of marked pixels by kind, as Severstal has them: `start length start length …`, the first pixel is 1, and
    pixels are numbered down the columns."""

    runs: Mapping[str, str]
    source: str

    def regions(self, height: int, width: int) -> Iterator[DefectRegion]:
        """A region for each kind."""
        for kind, text in self.runs.items():
            yield DefectRegion(kind, self._marked(text, height, width))

    def _marked(self, text: str, height: int, width: int) -> Mask:
        try:
            words = [int(word) for word in text.split()]
            pairs = list(zip(words[::2], words[1::2], strict=True))
        except ValueError as error:
            raise self._wrong(f"{text[:60]!r}") from error
        flat = np.zeros(height * width, dtype=bool)
        for start, length in pairs:
            if start < 1 or length < 1 or start - 1 + length > len(flat):
                raise self._wrong(f"{start} {length} in an image of {width}×{height}")
            flat[start - 1 : start - 1 + length] = True
        return flat.reshape(width, height).T  # numbered down the columns

    def _wrong(self, came: str) -> LabelsError:
        return LabelsError(
            expected=f"pairs of start and length within the image, from 1 on, in {self.source}",
            came=came,
            do="correct that line",
        )


def mask_values(path: Path, height: int, width: int) -> npt.NDArray[np.uint8 | np.uint16]:
    """The pixels of a mask file (H, W) or (H, W, 3), blue first, of 8 or 16 bits, in the size of its image.
    Raises LabelsError where it is no image, or of another shape than its image."""
    values = _read(path)
    if values.shape[:2] != (height, width):
        own_height, own_width = values.shape[:2]
        if abs(own_height * width - own_width * height) > max(height, width, own_height, own_width):
            raise LabelsError(
                expected=f"a mask in the shape of its image, {width}×{height}",
                came=f"{own_width}×{own_height}: {path}",
                do="get the set again, or put the mask right",
            )
        values = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST))
    return values


def marks_anything(path: Path) -> bool:
    """Whether a mask file has any pixel that is not black. Raises LabelsError where it is no image."""
    return bool(_read(path).any())


def _read(path: Path) -> npt.NDArray[np.uint8 | np.uint16]:
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)  # OpenCV itself takes no names that are not UTF-8
    except OSError as error:
        raise LabelsError(expected="a mask", came=str(error), do="get the set again") from error
    values = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if len(data) else None
    if values is None:
        raise LabelsError(expected="a mask", came=f"no image: {path_text(path)}", do="put it right, or take it away")
    return np.asarray(values)


def _pixel(share: float, size: int) -> int:
    return min(max(round(share * size), 0), size - 1)
