"""Advice on which detector suits a part: each is taught some good parts, and judges others with and without defects."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog

from daemon.datasets.labelled import DataSet, LabelledImage, LabelsError, Split
from daemon.evaluation.drawn_defects import KINDS, drawn
from daemon.evaluation.judged import Judged, judge
from daemon.evaluation.metrics import auroc
from daemon.intake.decode import ImageRejected, RawImage, eight_bits, found_bits, read
from daemon.learning.survey import Track
from daemon.settings.load import Settings
from memory.errors import DriftlineError
from memory.exported.detector import EXPORTED
from memory.extract import Extractor
from memory.learners import kinds

HELD_OUT = 4  # one part in so many is judged instead of taught
LEAST_PARTS = 12
MOST_TESTED = 25
MOST_PARTS = 100  # of more, so many are taken, spread evenly
AS_GOOD = 0.01  # AUROC within this of the best is as good: then the faster one is advised
REAL = "a real defect"
log = structlog.get_logger()


@dataclass(frozen=True)
class Candidate:
    """How a kind of detector did: AUROC on drawn and on real defects, and the time that a frame takes. `refused` says
    why it cannot be taught."""

    detector: str
    drawn_auroc: float | None = None
    real_auroc: float | None = None
    found: float | None = None
    false_rejects: float | None = None
    teach_s: float | None = None
    frame_ms: float | None = None
    refused: str = ""

    @property
    def rank(self) -> float:
        """What it is compared by: real defects where there are some, drawn ones else."""
        known = self.real_auroc if self.real_auroc is not None else self.drawn_auroc
        return -1.0 if known is None else known


def advised(candidates: Sequence[Candidate]) -> Candidate:
    """The fastest of those that are as good as the best. Raises LabelsError where none could be taught."""
    best = max(candidate.rank for candidate in candidates)
    if best < 0:
        raise LabelsError(
            expected="a detector that can be taught from these parts",
            came="; ".join(f"{candidate.detector}: {candidate.refused}" for candidate in candidates),
            do="see what is said of each",
        )
    as_good = [candidate for candidate in candidates if candidate.rank >= best - AS_GOOD]
    return min(as_good, key=lambda candidate: candidate.frame_ms or 0.0)


def trial_set(goods: Sequence[Path], defects: Sequence[Path], settings: Settings, folder: Path, seed: int) -> DataSet:
    """Good parts split into those to teach and to judge, the latter also with drawn defects, which are written below
    `folder`, and real defects. Raises LabelsError for fewer than `LEAST_PARTS` good parts."""
    if len(goods) < LEAST_PARTS:
        raise LabelsError(
            expected=f"at least {LEAST_PARTS} images of good parts", came=f"{len(goods)}", do="add good parts"
        )
    rng = np.random.default_rng(seed)
    order = [goods[i] for i in rng.permutation(len(goods))]
    tested, taught = (
        order[: min(len(order) // HELD_OUT, MOST_TESTED)],
        order[min(len(order) // HELD_OUT, MOST_TESTED) :],
    )
    images = [LabelledImage(path, Split.TRAIN) for path in sorted(taught)]
    images += [LabelledImage(path, Split.TEST) for path in tested]
    parts = [raw for path in tested if (raw := _read(path, settings))]  # what cannot be read is told when it is judged
    # As `teach` finds the intensity window, where neither the file nor the settings name it.
    bits = settings.source.bits or found_bits(max((int(raw.pixels.max()) for raw in parts), default=0))
    for number, raw in enumerate(parts):
        for kind in KINDS:
            made = folder / f"{number:03d}-{kind.replace(' ', '-')}.png"
            cv2.imwrite(str(made), drawn(eight_bits(raw, bits), kind, rng).image[:, :, ::-1])
            images.append(LabelledImage(made, Split.TEST, kind))
    images += [LabelledImage(path, Split.TEST, REAL) for path in defects]
    return DataSet(tuple(images))


def _read(path: Path, settings: Settings) -> RawImage | None:
    source = settings.source
    try:
        return read(path.read_bytes(), source.max_pixels, None, source.page)
    except ImageRejected:
        return None


def advise(
    goods: Sequence[Path],
    defects: Sequence[Path],
    settings: Settings,
    backbone: Extractor,
    folder: Path,
    track: Track,
    seed: int = 0,
) -> tuple[Candidate, dict[str, tuple[Candidate, Judged | None]]]:
    """The advised kind of detector, and how each kind did: taught some of these good parts, it judges others with and
    without drawn defects, and real ones, the whole image, below `folder`. Defects are drawn in colour, so depth is not
    looked at. Raises LabelsError for too few parts, and where none could be taught."""
    if settings.source.depth_page is not None:
        log.warning("detectors are compared by colours alone", reason="defects are drawn in colour")
    source = settings.source.model_copy(update={"depth_page": None})
    settings = settings.model_copy(update={"source": source})
    (made := folder / "drawn").mkdir()
    some = [goods[i] for i in np.unique(np.linspace(0, len(goods) - 1, MOST_PARTS).astype(int))] if goods else []
    data, found = trial_set(some, defects, settings, made, seed), {}
    for kind in kinds():
        if kind != EXPORTED or settings.extractor.scorer:
            found[kind] = tried(data, kind, settings, backbone, folder / kind, track)
            shutil.rmtree(folder / kind, ignore_errors=True)  # it holds the images of a version
    return advised([candidate for candidate, _ in found.values()]), found


def tried(
    data: DataSet, detector: str, settings: Settings, backbone: Extractor, folder: Path, track: Track
) -> tuple[Candidate, Judged | None]:
    """How a kind of detector does on a trial set, and all that it judged; None where it cannot be taught."""
    memory = settings.memory.model_copy(update={"detector": detector})
    own = settings.model_copy(update={"memory": memory, "state_dir": folder})
    try:
        judged = judge(data, own, backbone, folder, track)
    except DriftlineError as error:
        return Candidate(detector, refused=str(error)), None
    scores = np.array([one.score for one in judged.images])
    kinds = np.array([one.image.kind for one in judged.images])
    good, real = kinds == "good", kinds == REAL
    above = scores > judged.threshold.value
    return (
        Candidate(
            detector,
            drawn_auroc=auroc(scores[~real], ~good[~real]),
            real_auroc=auroc(scores[good | real], real[good | real]),
            found=float(above[~good].mean()) if (~good).any() else None,
            false_rejects=float(above[good].mean()) if good.any() else None,
            teach_s=judged.teach_s,
            frame_ms=judged.frame_ms,
        ),
        judged,
    )


def told(candidate: Candidate) -> dict[str, Any]:
    """A candidate as JSON."""
    return {name: value for name, value in vars(candidate).items() if value not in (None, "")}
