"""One run of the tile protocol for learners of every kind: what they see, what they may ask, how they are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from bench.lib.bank import score_by_distances
from bench.lib.material import Material
from bench.lib.nearest import Nearest
from bench.lib.protocol import STAGES, Shot, mask
from daemon.evaluation.metrics import aupro, auroc
from drift.light import LightEstimate, compensate
from drift.signals import light
from memory.extract import Extractor
from memory.features import Features
from memory.patch_bank.bank import PatchBank
from policies.threshold import Threshold

MAP_PX = 64


@dataclass(frozen=True)
class Part:
    """One image of the protocol as the bank sees it."""

    name: str
    shot: Shot
    features: Features

    @property
    def full(self) -> Features:
        """Its features in float32: those of probes are kept in half the room."""
        return Features(self.features.patches.astype(np.float32), self.features.grid)


@dataclass(frozen=True)
class Line:
    """The protocol with its features: `stream` in file order under the exposure gain of that moment; `probes` of
    stage k under the gain reached at the end of stage k, `raw_probes` without any."""

    setup: list[Part]
    stream: list[Part]
    probes: list[Part]
    raw_probes: list[Part]
    masks: list[npt.NDArray[np.bool_]]

    def stage(self, number: int) -> list[Part]:
        """The stream's images of one stage."""
        return [p for p in self.stream if p.shot.stage == number]


@dataclass(frozen=True)
class State:
    """What a learner has at the end of a stage: what would judge, what it cost."""

    bank: PatchBank
    threshold: Threshold
    labels: int
    seconds: list[float]


Learner = Callable[[Line], list[State]]


@dataclass(frozen=True)
class Result:
    """A learner's figures; `scores` (stage, probe) are by each stage's bank, `deployed` by the probe's own stage."""

    auroc: float
    aupro: float
    scores: npt.NDArray[np.float64]
    matrix: npt.NDArray[np.float64]
    false_rejects: list[float]
    recall: list[float]
    flagged: npt.NDArray[np.bool_]
    labels: int
    bank: int
    seconds: float

    @property
    def forgetting(self) -> float:
        """FM: mean over stages of how far the last bank falls below the best bank (Chaudhry et al. 2018)."""
        return float((self.matrix.max(axis=0) - self.matrix[-1]).mean())

    @property
    def backward(self) -> float:
        """BWT: mean over all but the last stage of the last bank against that stage's (Lopez-Paz et al. 2017)."""
        return float((self.matrix[-1] - np.diagonal(self.matrix))[:-1].mean())


def named(parts: Sequence[Part]) -> list[tuple[str, Features]]:
    """Parts as the bank takes them."""
    return [(part.name, part.features) for part in parts]


def watch(material: Material, rows: list[Shot], backbone: Extractor) -> Line:
    """Everything the extractor sees of a protocol: setup, stream with a causal gain, all probes."""
    setup = [r for r in rows if r.role == "setup"]
    images = [material.load(shot) for shot in setup]
    taught = [Part(f"setup-{i}", s, backbone(x)) for i, (s, x) in enumerate(zip(setup, images, strict=True))]
    reference = np.mean([light(image) for image in images], axis=0)
    lamp, stream, probes, raw = LightEstimate(tuple(reference.tolist())), [], [], []
    for stage in STAGES:
        for shot in (r for r in rows if r.role == "stream" and r.stage == stage):
            image = material.load(shot)
            stream.append(Part(f"stream-{len(stream)}", shot, backbone(compensate(image, lamp.gain(reference)))))
            lamp = lamp.updated(light(image), reference)
        for shot in (r for r in rows if r.role == "probe" and r.stage == stage):
            image = material.load(shot)
            raw.append(Part(f"probe-{len(raw)}", shot, _small(backbone(image))))
            seen = _small(backbone(compensate(image, lamp.gain(reference))))
            probes.append(Part(f"probe-{len(probes)}", shot, seen))
    return Line(taught, stream, probes, raw, [mask(p.shot, (MAP_PX, MAP_PX)) for p in probes])


def _small(features: Features) -> Features:
    return Features(features.patches.astype(np.float16), features.grid)  # they are float16 values already


def examine(line: Line, states: list[State], *, gain: bool) -> Result:
    """Score all probes with the bank of every stage; a bank that stays the same object is scored once."""
    probes = line.probes if gain else line.raw_probes
    search = Nearest([probe.features for probe in probes])
    truth = np.array([p.shot.defective for p in probes])
    of_stage = np.array([p.shot.stage for p in probes])
    scores: list[list[float]] = []
    maps: list[npt.NDArray[np.float32]] = []
    scored_by: PatchBank | None = None
    for state in states:
        if scored_by is not state.bank:
            distances = zip(probes, search.to(state.bank), strict=True)
            each = [score_by_distances(state.bank, probe.full, distance) for probe, distance in distances]
            maps = [score.map for score in each]
        scores.append([score.value for score in each])
        scored_by = state.bank
    value = np.array(scores)
    thresholds = np.array([s.threshold.value for s in states])
    flagged = value[of_stage - 1, np.arange(len(of_stage))] > thresholds[of_stage - 1]
    pictures = [cv2.resize(m, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR) for m in maps]
    seconds = [s for state in states for s in state.seconds]
    return Result(
        auroc=auroc(value[-1], truth),
        aupro=aupro(pictures, line.masks),
        scores=value,
        matrix=np.array([[auroc(v[of_stage == j], truth[of_stage == j]) for j in STAGES] for v in value]),
        false_rejects=[float(flagged[(of_stage == j) & ~truth].mean()) for j in STAGES],
        recall=[float(flagged[(of_stage == j) & truth].mean()) for j in STAGES],
        flagged=flagged,
        labels=states[-1].labels,
        bank=states[-1].bank.size,
        seconds=float(np.mean(seconds)) if seconds else 0.0,
    )
