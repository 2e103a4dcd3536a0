"""What every reader needs of a folder: its images, its masks, and clear words where something is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from daemon.datasets.labelled import DataSet, LabelledImage, LabelsError, Split
from daemon.intake.decode import SUFFIXES, path_text

BY_NAME = {split.value: split for split in Split}


def images_of(folder: Path) -> list[Path]:
    """The image files of a folder, in order of their names; none where it is not there."""
    return sorted(path for path in folder.glob("*") if is_image(path)) if folder.is_dir() else []


def is_image(path: Path) -> bool:
    """Whether there is a file that is named as an image."""
    try:
        return path.suffix.lower() in SUFFIXES and path.is_file()
    except OSError:  # a name that no disk takes
        return False


def others_of(folder: Path) -> list[str]:
    """A word on each file of a folder that is not named as an image."""
    if not folder.is_dir():
        return []
    return [
        f"{path_text(path)}: not named as an image"
        for path in sorted(folder.iterdir())
        if path.is_file() and not is_image(path)
    ]


def kinds_of(folder: Path, folders: Mapping[str, Split] = BY_NAME) -> Iterator[tuple[Split, Path]]:
    """The folders of kinds, `good` among them, in each folder of a split."""
    for name, split in folders.items():
        for kind in sorted(path for path in (folder / name).glob("*") if path.is_dir()):
            yield split, kind


def with_goods(images: Sequence[LabelledImage], ignored: Sequence[str], where: Path) -> DataSet:
    """The data set of these images. Raises LabelsError where there are no good parts to teach."""
    data = DataSet(tuple(images), tuple(ignored))
    some((one.path for one in data.goods), where, "good parts")
    return data


def required(folder: Path, what: str) -> Path:
    """The folder or file, which must be there. Raises LabelsError."""
    if not folder.exists():
        raise LabelsError(expected=what, came=f"no {folder}", do="name the folder as it was unpacked")
    return folder


def some(images: Iterable[Path], where: Path, what: str) -> list[Path]:
    """The images, at least one. Raises LabelsError."""
    found = list(images)
    if not found:
        raise LabelsError(
            expected=f"images of {what}", came=f"none in {where}", do="name the folder as it was unpacked"
        )
    return found


def read_text(path: Path, what: str) -> str:
    """The text of a file. Raises LabelsError where it is not there, or no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError(expected=what, came=f"{path_text(path)}: {error}", do="get the set again") from error
