"""One run of the tile protocol for learners of every kind: what they see, what they may ask, how they are scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from bench.protocol import STAGES, Shot, aupro, auroc, load, mask
from drift.light import Light, compensate
from drift.signals import light
from memory.bank import Bank, Score, subset
from memory.extract import Extractor
from memory.features import Features
from policies.threshold import Threshold

MAP_PX = 64
GRID = (32, 32)


@dataclass(frozen=True)
class Part:
    """One image of the protocol as the bank sees it."""

    name: str
    shot: Shot
    features: Features


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

    bank: Bank
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


def watch(rows: list[Shot], backbone: Extractor) -> Line:
    """Everything the extractor sees of a protocol: setup, stream with a causal gain, all probes."""
    setup = [r for r in rows if r.role == "setup"]
    images = [load(s) for s in setup]
    taught = [Part(f"setup-{i}", s, backbone(x)) for i, (s, x) in enumerate(zip(setup, images, strict=True))]
    reference = np.mean([light(image) for image in images], axis=0)
    lamp, stream, probes, raw = Light(tuple(reference.tolist())), [], [], []
    for stage in STAGES:
        for shot in (r for r in rows if r.role == "stream" and r.stage == stage):
            image = load(shot)
            stream.append(Part(f"stream-{len(stream)}", shot, backbone(compensate(image, lamp.gain(reference)))))
            lamp = lamp.updated(light(image), reference)
        for shot in (r for r in rows if r.role == "probe" and r.stage == stage):
            image = load(shot)
            raw.append(Part(f"probe-{len(raw)}", shot, _small(backbone(image))))
            seen = _small(backbone(compensate(image, lamp.gain(reference))))
            probes.append(Part(f"probe-{len(probes)}", shot, seen))
    return Line(taught, stream, probes, raw, [mask(p.shot, MAP_PX) for p in probes])


def _small(features: Features) -> Features:
    return Features(features.patches.astype(np.float16), features.grid)  # they are float16 values already


class Nearest:
    """The distance of every probe patch to its nearest in a bank, searched anew only where the bank has changed."""

    def __init__(self, probes: list[Part]) -> None:
        self.probes = probes
        self.keys: npt.NDArray[np.str_] = np.empty(0, dtype="U32")
        self.distance = np.full((len(probes), GRID[0] * GRID[1]), np.inf, dtype=np.float32)
        self.nearest = np.full(self.distance.shape, "", dtype="U32")

    def to(self, bank: Bank) -> npt.NDArray[np.float32]:
        """Distances (probe, patch)."""
        keys = np.array([f"{bank.samples[o]}/{p}" for o, p in zip(bank.origin, bank.place, strict=True)])
        new = np.flatnonzero(~np.isin(keys, self.keys))
        gone = np.setdiff1d(self.keys, keys)
        added = subset(bank, new) if len(new) else None
        for i, probe in enumerate(self.probes):
            patches = probe.features.patches.astype(np.float32)
            stale = np.flatnonzero(np.isin(self.nearest[i], gone) | (self.nearest[i] == ""))
            if len(stale):
                self.distance[i, stale], rows = bank.distances(Features(patches[stale], (1, len(stale))))
                self.nearest[i, stale] = keys[rows]
            if added is not None and len(stale) < len(patches):
                distance, rows = added.distances(Features(patches, probe.features.grid))
                nearer = distance < self.distance[i]
                self.distance[i, nearer] = distance[nearer]
                self.nearest[i, nearer] = keys[new[rows[nearer]]]
        self.keys = keys
        return self.distance.copy()


def _scored(bank: Bank, probe: Part, distance: npt.NDArray[np.float32]) -> Score:
    """As `Bank.score`, by distances (P,) that are known."""
    features = Features(probe.features.patches.astype(np.float32), GRID)
    level = bank.level(features)
    contrast = (distance / np.float32(level)).reshape(GRID)  # (P,) -> (rows, columns)
    plain = Score(float(contrast.max()), contrast, np.empty(0, dtype=np.int64), level)
    return bank.raised(features, plain)


def examine(line: Line, states: list[State], *, gain: bool) -> Result:
    """Score all probes with the bank of every stage; a bank that stays the same object is scored once."""
    probes = line.probes if gain else line.raw_probes
    search = Nearest(probes)
    truth = np.array([p.shot.defective for p in probes])
    at = np.array([p.shot.stage for p in probes])
    scores: list[list[float]] = []
    maps: list[npt.NDArray[np.float32]] = []
    seen: Bank | None = None
    for state in states:
        if seen is not state.bank:
            found = list(map(partial(_scored, state.bank), probes, search.to(state.bank)))
            maps = [score.map for score in found]
        scores.append([score.value for score in found])
        seen = state.bank
    value = np.array(scores)
    thresholds = np.array([s.threshold.value for s in states])
    flagged = value[at - 1, np.arange(len(at))] > thresholds[at - 1]
    pictures = [cv2.resize(m, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR) for m in maps]
    seconds = [s for state in states for s in state.seconds]
    return Result(
        auroc=auroc(value[-1], truth),
        aupro=aupro(pictures, line.masks),
        scores=value,
        matrix=np.array([[auroc(v[at == j], truth[at == j]) for j in STAGES] for v in value]),
        false_rejects=[float(flagged[(at == j) & ~truth].mean()) for j in STAGES],
        recall=[float(flagged[(at == j) & truth].mean()) for j in STAGES],
        flagged=flagged,
        labels=states[-1].labels,
        bank=len(states[-1].bank),
        seconds=float(np.mean(seconds)) if seconds else 0.0,
    )
