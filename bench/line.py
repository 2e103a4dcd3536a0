"""One run of the tile protocol for learners of every kind: what they see, what they may ask, how they are scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt
from memory.bank import Bank, Score

from bench.protocol import STAGES, Shot, aupro, auroc, load, mask
from drift.light import LightEstimate, compensate
from drift.signals import light
from memory.extract import Extractor
from memory.features import Features
from policies.threshold import Threshold

MAP_PX = 64
GRID = (32, 32)
BLOCK = 1024


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
    lamp, stream, probes, raw = LightEstimate(tuple(reference.tolist())), [], [], []
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
    """The distance of every probe patch to its nearest in a bank, searched anew only where the bank has changed.

    All probes' patches at once by matrix products: faiss' search of one probe after the other takes several times as
    long. What is found is measured again as the bank does, so the distances are its own.
    """

    def __init__(self, probes: list[Part]) -> None:
        self.patches = np.concatenate([p.features.patches for p in probes]).astype(np.float32)  # (probe · patch, D)
        self.shape = (len(probes), GRID[0] * GRID[1])
        self.ids: dict[str, int] = {}
        self.keys: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.distance = np.full(len(self.patches), np.inf, dtype=np.float32)
        self.nearest = np.full(len(self.patches), -1, dtype=np.int64)

    def to(self, bank: Bank) -> npt.NDArray[np.float32]:
        """Distances (probe, patch)."""
        names = (f"{bank.samples[o]}/{p}" for o, p in zip(bank.sample_index, bank.patch_index, strict=True))
        keys = np.array([self.ids.setdefault(name, len(self.ids)) for name in names])
        new = np.flatnonzero(~np.isin(keys, self.keys))
        gone = np.zeros(len(self.ids) + 1, dtype=bool)
        gone[np.setdiff1d(self.keys, keys)] = True
        gone[-1] = True  # of patches that have no nearest yet
        stale = gone[self.nearest]
        at = np.flatnonzero(stale)
        self.distance[at], rows = _search(self.patches[at], bank.vectors)
        self.nearest[at] = keys[rows]
        at = np.flatnonzero(~stale)
        if len(new) and len(at):
            distance, rows = _search(self.patches[at], bank.vectors[new])
            nearer = distance < self.distance[at]
            self.distance[at[nearer]] = distance[nearer]
            self.nearest[at[nearer]] = keys[new[rows[nearer]]]
        self.keys = keys
        return self.distance.reshape(self.shape).copy()  # (probe · patch,) -> (probe, patch)


def _search(
    patches: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The distance of each patch (n, D) to its nearest vector (m, D), and that one's row (n,)."""
    half = np.einsum("md,md->m", vectors, vectors) / 2
    room = np.empty(BLOCK * BLOCK, dtype=np.float32)  # one for all products: fresh memory costs more than they do
    distance, found = np.empty(len(patches), dtype=np.float32), np.empty(len(patches), dtype=np.int64)
    for start in range(0, len(patches), BLOCK):
        block = patches[start : start + BLOCK]
        best, at = np.full(len(block), -np.inf, dtype=np.float32), np.zeros(len(block), dtype=np.int64)
        for first in range(0, len(vectors), BLOCK):
            part = vectors[first : first + BLOCK]
            near = room[: len(block) * len(part)].reshape(len(block), len(part))
            np.matmul(block, part.T, out=near)  # (n, D) @ (D, m) -> (n, m); largest where the distance is smallest
            near -= half[first : first + BLOCK]
            rows = near.argmax(axis=1)
            value = near[np.arange(len(block)), rows]
            at = np.where(value > best, rows + first, at)
            best = np.maximum(best, value)
        apart = block - vectors[at]
        found[start : start + BLOCK] = at
        distance[start : start + BLOCK] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
    return distance, found


def _scored(bank: Bank, probe: Part, distance: npt.NDArray[np.float32]) -> Score:
    """As `Bank.score`, by distances (P,) that are known."""
    features = Features(probe.features.patches.astype(np.float32), GRID)
    level = bank.scale(features)
    contrast = (distance / np.float32(level)).reshape(GRID)  # (P,) -> (rows, columns)
    plain = Score(float(contrast.max()), contrast, np.empty(0, dtype=np.int64), level)
    return bank.amplify(features, plain)


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
