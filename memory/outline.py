"""An extractor's outline: what a line asks of a network before any frame needs its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path

from memory.durable import disk, write_draft
from memory.errors import DriftlineError
from memory.weights_path import weights_path

Shape = tuple[int, int]  # of an image: height_px, width_px
Grid = tuple[int, int]  # rows and columns of its patches
MADE_BY = ("driftline", "torch", "timm")


@dataclass(frozen=True)
class Outline:
    """What was found out about a network when its weights were loaded.

    `fingerprint` is the SHA-256 of all that determines its features. A patch covers `stride_px`, that of the finest
    map; `multiple_px` is the stride of the coarsest. A network of `fixed_size` takes images of one size alone. `grids`
    says what grid an image has of every shape that was tried, None where the network does not take it.
    """

    fingerprint: str
    stride_px: int
    multiple_px: int
    fixed_size: bool
    grids: Mapping[Shape, Grid | None]


def identity(model: str, layers: Sequence[int], weights: str, input_px: int, *, normalize: bool, device: str) -> str:
    """The SHA-256 of what an outline follows from: settings, the file of weights where there is one, and the libraries.

    Weights of timm's hub may change under their name; so an extractor that loads them compares fingerprints. Raises
    WeightsError and OSError where the weights are not to be read.
    """
    file = weights_path(model, weights)
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file else None
    libraries = [version(name) for name in MADE_BY]
    told = [model, list(layers), weights, input_px, normalize, device, digest, libraries]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class KeptOutline:
    """The outline, in a file, of what has the identity `of`."""

    def __init__(self, file: Path, of: str) -> None:
        self._file, self._of = file, of

    def read(self) -> Outline | None:
        """The outline; None where none is kept, or that of something else. Raises DriftlineError for a damaged file."""
        try:
            told = json.loads(self._file.read_bytes())
            if told.pop("of") != self._of:
                return None
            grids = {_pair(shape): _pair(grid) if grid else None for shape, grid in told.pop("grids")}
            return Outline(**told, grids=grids)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DriftlineError(
                expected=f"what is known of the network in {self._file}",
                came=f"{type(error).__name__}: {str(error)[:200]}",
                do="nothing: the weights are loaded, and it is written anew",
            ) from error

    def drop(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)

    def write(self, outline: Outline) -> None:
        """Keep this outline. Raises StoreError where the disk refuses."""
        grids = [[shape, grid] for shape, grid in outline.grids.items()]
        told = {field.name: getattr(outline, field.name) for field in fields(Outline)}
        with disk(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_draft(self._file, json.dumps(told | {"of": self._of, "grids": grids}).encode()).replace(self._file)


def _pair(numbers: Sequence[int]) -> tuple[int, int]:
    first, second = numbers
    return int(first), int(second)
