"""What a benchmark measures on: the real tiles with MobileNetV2, or, in a short run, rendered parts with tiny."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.lib import protocol, rendered_tiles
from bench.lib.processes import ROOT
from bench.lib.protocol import Shot
from daemon.settings.models import ExtractorSettings
from memory.extract import Extractor
from memory.runtime import keep_freed_memory

SHARED = Path(os.environ.get("DRIFTLINE_SHARED", ROOT.parent / "shared"))
TILES = SHARED / "data" / "magnetic-tiles"
WEIGHTS = SHARED / "weights" / "mobilenetv2_100.safetensors"
TILES_SEED = 20261123
SHORT_PX = 128

TINY = ExtractorSettings(model="driftline-tiny", weights="shipped", device="cpu", backend="torch")
# The shared weights have the normalisation folded in.
MOBILENET = ExtractorSettings(
    model="mobilenetv2_100", weights=str(WEIGHTS), normalize=False, device="cpu", backend="torch"
)


@dataclass(frozen=True)
class Material:
    """A folder of images with protocols of them, and the backbone that the benchmarks look at them with."""

    folder: Path
    extractor: ExtractorSettings
    short: bool

    def protocol(self, seed: int = TILES_SEED, order: str = "123456") -> Path:
        """The file of the protocol of a seed and an order of exposures; by default the tiles' own `stream.csv`."""
        if self.short:
            return rendered_tiles.write(self.folder, seed, order)
        if (seed, order) == (TILES_SEED, "123456"):
            return self.folder / "stream.csv"
        path = _drafts() / f"stream-{seed}-{order}.csv"
        subprocess.run([sys.executable, self.folder / "make_stream.py", path, str(seed), order], check=True)
        return path

    def shots(self, seed: int = TILES_SEED, order: str = "123456") -> list[Shot]:
        """All rows of the protocol of a seed and an order of exposures."""
        return protocol.rows(self.protocol(seed, order), self.folder)

    def load(self, shot: Shot) -> npt.NDArray[np.uint8]:
        """The shot's image as the backbone takes it."""
        return protocol.load(shot, self.extractor.input_px)

    def backbone(self) -> Extractor:
        """The backbone."""
        return backbone(self.extractor)


def material(*, short: bool) -> Material:
    """The tiles with the shared weights, or rendered parts with driftline-tiny at `SHORT_PX` for a short run. Ends with
    a word on what is missing where there is no shared material.
    """
    if short:
        return Material(_drafts(), TINY.model_copy(update={"input_px": SHORT_PX}), short=True)
    if not WEIGHTS.exists():
        raise SystemExit(f"no {WEIGHTS}: set DRIFTLINE_SHARED to the folder of shared/README.md, or try --short")
    return Material(TILES, MOBILENET, short=False)


def backbone(settings: ExtractorSettings) -> Extractor:
    """The extractor of such settings."""
    keep_freed_memory()
    return Extractor(**settings.model_dump(include={"model", "layers", "weights", "input_px", "normalize", "device"}))


@functools.cache
def _drafts() -> Path:
    """A folder of this process for what is drawn, which goes when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="driftline-bench-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
