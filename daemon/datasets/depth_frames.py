"""Frames with depth: colours and heights in one TIFF of two pages, as the service takes them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import structlog
from tifffile import TiffWriter

from daemon.datasets.labelled import MAX_PIXELS, DataSet
from daemon.intake.decode import ImageRejected, path_text, read
from daemon.intake.depth import read_depth
from daemon.settings.models import SourceSettings

PAGES = {"page": 0, "depth_page": 1}
log = structlog.get_logger()


def joined(colours: npt.NDArray[Any], heights: npt.NDArray[Any]) -> bytes:
    """A TIFF of colours (H, W) or (H, W, 3), u8 or u16, and heights (H, W), f32 or u16, 0 or NaN where none were
    measured."""
    file = io.BytesIO()
    with TiffWriter(file) as writer:
        photometric = "rgb" if colours.ndim == 3 else "minisblack"
        writer.write(colours, photometric=photometric, compression="adobe_deflate", metadata=None)
        writer.write(heights, photometric="minisblack", compression="adobe_deflate", metadata=None)
    return file.getvalue()


def frames_of(data: DataSet, folder: Path) -> Mapping[Path, Path]:
    """The file to judge for each image of a data set: itself, or where its depth is a file beside it, a frame with both
    that is written below `folder`. An image that cannot be joined is told, and refused by whoever judges it."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {}
    for number, one in enumerate(data.images):
        frames[one.path] = one.path
        if one.depth is not None:
            try:
                colours = read(one.path.read_bytes(), MAX_PIXELS, page=one.page).pixels
                heights = read_depth(one.depth.read_bytes(), MAX_PIXELS, 0)
            except (OSError, ImageRejected) as error:
                log.warning("image without its depth", file=path_text(one.path), reason=str(error))
                continue
            frames[one.path] = folder / f"{number:05d}.tiff"
            frames[one.path].write_bytes(joined(colours, heights))
    return frames


def seeing_depth(source: SourceSettings) -> SourceSettings:
    """The settings for frames that were joined."""
    return source.model_copy(update=PAGES)
