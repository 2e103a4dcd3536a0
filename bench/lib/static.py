"""A bank that is taught once and never learns, over the tile protocol: how it scores, and its row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from bench.lib.bank import Calibrated, calibrated, taught_bank
from bench.lib.material import Material
from bench.lib.protocol import STAGES, Shot, mask
from daemon.evaluation.metrics import aupro, auroc
from drift.light import compensate
from drift.monitor import MeasuredFrame, Monitor
from drift.reference import Reference, fit_reference, measure
from memory.extract import Extractor
from memory.features import View

MAP_PX = 64


@dataclass(frozen=True)
class Result:
    """One row of the table, every rate over the probes of its stage."""

    name: str
    auroc: float
    aupro: float
    false_rejects: list[float]
    recall: list[float]
    stage_auroc: npt.NDArray[np.float64]
    guaranteed: float
    bank: int


def teach(
    material: Material, backbone: Extractor, setup: Sequence[Shot], budget: int | None, rate: float
) -> tuple[Calibrated, Reference]:
    """A static bank with its threshold, and the drift reference, as `driftline teach` makes them."""
    images = [material.load(shot) for shot in setup]
    features = [backbone(image) for image in images]
    parts = [(str(number), each) for number, each in enumerate(features)]
    reference = fit_reference(images, features, backbone, 0)
    return calibrated(taught_bank(parts, budget, 0), parts, rate), reference


def run(
    material: Material, rows: list[Shot], backbone: Extractor, name: str, budget: int | None, rate: float, *, gain: bool
) -> Result:
    """Score every probe of stage k under the light that the monitor believed in at the end of stream stage k."""
    taught, reference = teach(material, backbone, [row for row in rows if row.role == "setup"], budget, rate)
    monitor, frames = Monitor(reference), 0
    scores, truth, stages, maps, masks = [], [], [], [], []
    for stage in STAGES:
        for shot in (row for row in rows if row.role == "stream" and row.stage == stage):
            if gain:
                raw = material.load(shot)
                image = compensate(raw, monitor.gain)
                features = backbone(image)
                flagged = taught.bank.score(View(features)).value > taught.threshold.value
                monitor.update(MeasuredFrame(measure(raw, image, features, reference), frames, frames, flagged=flagged))
                frames += 1
        for shot in (row for row in rows if row.role == "probe" and row.stage == stage):
            score = taught.bank.score(View(backbone(compensate(material.load(shot), monitor.gain))))
            scores.append(score.value)
            truth.append(shot.defective)
            stages.append(stage)
            maps.append(cv2.resize(score.map, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR))
            masks.append(mask(shot, (MAP_PX, MAP_PX)))
    value, bad, of_stage = np.array(scores), np.array(truth), np.array(stages)
    above = value > taught.threshold.value
    return Result(
        name=name,
        auroc=auroc(value, bad),
        aupro=aupro(maps, masks),
        false_rejects=[float(above[(of_stage == k) & ~bad].mean()) for k in STAGES],
        recall=[float(above[(of_stage == k) & bad].mean()) for k in STAGES],
        stage_auroc=np.array([auroc(value[of_stage == k], bad[of_stage == k]) for k in STAGES]),
        guaranteed=taught.threshold.guaranteed_rate,
        bank=taught.bank.size,
    )


def show(results: list[Result]) -> None:
    """The table, as Markdown."""
    print("| setting | bank | AUROC pooled | AUROC by stage 1 → 6 | AUPRO | false rejects 1 → 6, % | recall 1 → 6, % |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for r in results:
        by_stage = " ".join(f"{v:.3f}" for v in r.stage_auroc)
        rejects = " ".join(f"{100 * v:.0f}" for v in r.false_rejects)
        recall = " ".join(f"{100 * v:.0f}" for v in r.recall)
        print(f"| {r.name} | {r.bank} | {r.auroc:.3f} | {by_stage} | {r.aupro:.3f} | {rejects} | {recall} |")
