"""The tile protocol as the benchmarks read it (shared/README.md), and the numbers they report."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.intake.decode import decode
from memory.extract import Extractor
from memory.runtime import keep_freed_memory

SHARED = Path(os.environ.get("DRIFTLINE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
TILES = SHARED / "data" / "magnetic-tiles"
WEIGHTS = SHARED / "weights" / "mobilenetv2_100.safetensors"
MAX_PIXELS = 100_000_000
STAGES = range(1, 7)


@dataclass(frozen=True)
class Shot:
    """One row of the protocol."""

    role: str
    stage: int
    part: str
    label: str
    image: Path
    mask: Path | None

    @property
    def defective(self) -> bool:
        """Whether the label is not good."""
        return self.label != "good"


def shots(protocol: Path = TILES / "stream.csv") -> list[Shot]:
    """All rows of a protocol file, in order."""
    with protocol.open(newline="") as text:
        return [
            Shot(
                r["role"],
                int(r["stage"]),
                r["part"],
                r["label"],
                TILES / r["image"],
                TILES / r["mask"] if r["mask"] else None,
            )
            for r in csv.DictReader(text)
        ]


def drawn(seed: int, order: str = "123456") -> list[Shot]:
    """All rows of the protocol that `make_stream.py` writes for a seed and an order of exposures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stream.csv"
        subprocess.run([sys.executable, TILES / "make_stream.py", path, str(seed), order], check=True)
        return shots(path)


def need_shared() -> None:
    """End with a word on what is missing where there is no shared material."""
    if not WEIGHTS.exists():
        raise SystemExit(f"no {WEIGHTS}: set DRIFTLINE_SHARED to the folder of shared/README.md")


def tiny() -> Extractor:
    """driftline-tiny, as it is shipped."""
    return Extractor(
        model="driftline-tiny", layers=(2, 3), weights="shipped", input_px=256, normalize=True, device="cpu"
    )


def extractor() -> Extractor:
    """MobileNetV2 with the shared weights, whose normalisation is folded in."""
    need_shared()
    keep_freed_memory()
    return Extractor(
        model="mobilenetv2_100", layers=(2, 3), weights=str(WEIGHTS), input_px=256, normalize=False, device="cpu"
    )


def load(shot: Shot) -> npt.NDArray[np.uint8]:
    """The shot's image as the daemon decodes it."""
    return decode(shot.image.read_bytes(), 256, MAX_PIXELS)


def mask(shot: Shot, size_px: int) -> npt.NDArray[np.bool_]:
    """The shot's defect mask (size_px, size_px); all false for a good part."""
    if shot.mask is None:
        return np.zeros((size_px, size_px), dtype=bool)
    grey = cv2.imread(str(shot.mask), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, (size_px, size_px), interpolation=cv2.INTER_AREA) > 127


def auroc(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Area under the ROC curve: the Mann–Whitney statistic, ties counted half (Hanley and McNeil 1982)."""
    values, truth = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upto = np.cumsum(counts)
    rank = (upto - (counts - 1) / 2)[inverse]
    n = int(truth.sum())
    return float((rank[truth].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def aupro(maps: list[npt.NDArray[np.float32]], masks: list[npt.NDArray[np.bool_]], limit: float = 0.3) -> float:
    """Area under the per-region overlap curve up to a pixel false-positive rate of `limit`, scaled to 1.

    Bergmann et al., "The MVTec Anomaly Detection Dataset" (IJCV 2021), section 5.3: each connected region of
    each mask weighs the same.
    """
    weights, values, good = [], [], []
    regions = 0
    for anomaly, truth in zip(maps, masks, strict=True):
        count, labels = cv2.connectedComponents(truth.astype(np.uint8))
        good.append(anomaly[~truth])
        for region in range(1, count):
            inside = anomaly[labels == region]
            values.append(inside)
            weights.append(np.full(len(inside), 1 / len(inside)))
            regions += 1
    flat, weight = np.concatenate(values), np.concatenate(weights) / regions
    background = np.sort(np.concatenate(good))
    order = np.argsort(-flat, kind="stable")
    overlap = np.cumsum(weight[order])
    rate = 1 - np.searchsorted(background, flat[order], side="left") / len(background)
    rate, overlap = np.concatenate([[0], rate]), np.concatenate([[0], overlap])
    inside = rate <= limit
    edge = np.interp(limit, rate, overlap)
    xs, ys = np.concatenate([rate[inside], [limit]]), np.concatenate([overlap[inside], [edge]])
    return float(np.trapezoid(ys, xs) / limit)
