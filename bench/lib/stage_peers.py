"""What others find in a stream's stages: a bank that is never changed, one taught anew from all labels, PatchCore
refitted by anomalib, and a bank that is searched near each patch's own place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bench.lib import by_anomalib
from bench.lib.cases import Case, Shown
from bench.lib.changes import Stream
from bench.lib.material import TINY
from bench.lib.taught_lines import TaughtLine, taught_line
from bench.zoo import UNKNOWN, judged
from daemon.evaluation.metrics import auroc
from daemon.intake.decode import ImageRejected
from daemon.settings.load import load
from memory.distances import Vectors, nearest_squared
from memory.extract import Extractor

LEAST_BAD = 5  # in a stage, or its AUROC says nothing
REACH = 1  # cells: how far from its own place a patch is looked for
REFITTED = "PatchCore"
PEERS = ("static", "rebuilt from all labels", "near its place", f"{REFITTED} refitted")


def stage_cases(stream: Stream) -> Iterator[tuple[int, Case]]:
    """Each stage with bad parts enough: the good parts up to its middle are taught, the rest is judged."""
    known = list(stream.taught)
    for stage in stream.stages:
        parts = [part for part in stream.played if part.stage == stage]
        goods = [part.path for part in parts if part.good]
        half = len(goods) // 2
        shown = [Shown(path, bad=False) for path in goods[half:]]
        shown += [Shown(part.path, bad=True) for part in parts if not part.good]
        if half and sum(each.bad for each in shown) >= LEAST_BAD:
            yield stage, Case(f"{stream.name}-{stage}", (*known, *goods[:half]), tuple(shown))
        known += goods


def compare(
    stream: Stream, scores: Mapping[Path, float], overrides: Sequence[str], backbone: Extractor, folder: Path
) -> dict[int, list[float]]:
    """AUROC by stage: of Driftline's `scores`, then of `PEERS`; anomalib's is NaN by driftline-tiny, which is no timm
    network."""
    every = dict(stage_cases(stream))
    everything = tuple(Shown(part.path, bad=not part.good) for part in stream.played)
    as_taught = Case(f"{stream.name}-static", stream.taught, everything)
    static = dict(zip([s.path for s in everything], _judged(as_taught, overrides, backbone, folder), strict=True))
    by_timm = load(None, list(overrides)).extractor.model != TINY.model
    refitted = by_anomalib.scores(every.values(), [REFITTED], overrides, folder)[REFITTED] if by_timm else {}
    found = {}
    for stage, case in every.items():
        bad = np.array([shown.bad for shown in case.shown])
        columns = [
            [scores[shown.path] for shown in case.shown],
            [static[shown.path] for shown in case.shown],
            _judged(case, overrides, backbone, folder),
            near_its_place(case, overrides, backbone, folder),
        ]
        areas = [auroc(np.array(column), bad) for column in columns]
        found[stage] = [*areas, auroc(np.array(refitted[case.name]), bad) if by_timm else math.nan]
    return found


def near_its_place(case: Case, overrides: Sequence[str], backbone: Extractor, folder: Path) -> list[float]:
    """The largest squared distance of a patch to the nearest taught one at most `REACH` cells from its own place.

    That is DINOSaur's rule (2605.24251) as its abstract tells it, with all patches for a coreset, which can only help.
    """
    with taught_line(case.taught, overrides, backbone, folder / f"{case.name}-place") as line:
        taught = np.stack(list(_grids(line, case.taught).values()))  # (n, rows, columns, D)
        shown = _grids(line, [each.path for each in case.shown])
    largest = np.zeros(len(shown), dtype=np.float32)
    for row, column in np.ndindex(taught.shape[1:3]):
        near = taught[:, max(row - REACH, 0) : row + REACH + 1, max(column - REACH, 0) : column + REACH + 1]
        here = np.stack([grid[row, column] for grid in shown.values()])
        largest = np.maximum(largest, nearest_squared(here, near.reshape(-1, taught.shape[3])))
    scores = dict(zip(shown, largest.tolist(), strict=True))
    return [scores.get(each.path, UNKNOWN) for each in case.shown]


def _grids(line: TaughtLine, paths: Iterable[Path]) -> dict[Path, Vectors]:
    """The patches (rows, columns, D) of the images that can be judged."""
    found = {}
    for path in paths:
        with suppress(ImageRejected):
            features = line.engine.score_image(line.engine.decode(path.read_bytes()), line.active).view.features
            found[path] = features.to_map(features.patches)
    return found


def _judged(case: Case, overrides: Sequence[str], backbone: Extractor, folder: Path) -> list[float]:
    return [float(score) for score in judged(case, len(case.taught), overrides, backbone, folder)["scores"]]
