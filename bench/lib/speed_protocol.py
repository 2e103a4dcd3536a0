"""What both sides of bench/speed.py are given: the same images, backbone and banks, in files of one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.lib.material import MOBILENET, TINY, Material, backbone
from bench.lib.protocol import Shot
from daemon.settings.models import ExtractorSettings
from memory.extract import Extractor

INPUT_PX = MAP_PX = 256
WARM = 10
ENOUGH_S = 30.0  # a side that takes longer for all images stops, after `WARM` and twice as many more
IMAGES = 110
BACKBONES = ("driftline-tiny", "mobilenetv2_100", "resnet18", "wide_resnet50_2")
TASK, BANK = "task.json", "bank.npy"


@dataclass(frozen=True)
class Task:
    """A backbone by name, the sizes of the banks, the files of the images to score and of those that were taught."""

    backbone: str
    sizes: list[int]
    images: list[str]
    taught: list[str]


def write(folder: Path, task: Task, vectors: npt.NDArray[np.float32]) -> None:
    """Write a task and the vectors (n, D) of its largest bank, whose beginnings are the smaller ones."""
    (folder / TASK).write_text(json.dumps(asdict(task)))
    np.save(folder / BANK, vectors)


def read(folder: Path) -> tuple[Task, npt.NDArray[np.float32]]:
    """What `write` wrote."""
    return Task(**json.loads((folder / TASK).read_text())), np.load(folder / BANK)


def task(on: Material, name: str, sizes: list[int]) -> Task:
    """Probes, good ones and defects, in the protocol's order, with the setup images as taught."""
    setup = [str(shot.image) for shot in on.shots() if shot.role == "setup"]
    return Task(name, sorted(sizes), [str(shot.image) for shot in probes(on)], setup)


def probes(on: Material) -> list[Shot]:
    """The probes that are scored."""
    every = [shot for shot in on.shots() if shot.role == "probe"]
    return every[:: max(len(every) // IMAGES, 1)][:IMAGES]


def extractor(name: str) -> Extractor:
    """A backbone by name; without weights here, ResNets are random, which takes as long."""
    known = {settings.model: settings for settings in (TINY, MOBILENET)}
    return backbone(known.get(name) or ExtractorSettings(model=name, weights="untrained", device="cpu"))


def timed(images: list[str], score: Callable[[bytes], float]) -> dict[str, object]:
    """Milliseconds an image after the first `WARM`, the scores, and the most memory held."""
    took: list[float] = []
    scores: list[float] = []
    for data in [Path(path).read_bytes() for path in images]:
        started = time.perf_counter()
        scores.append(score(data))
        took.append(1000 * (time.perf_counter() - started))
        if sum(took) > 1000 * ENOUGH_S and len(took) >= 3 * WARM:
            break
    return {"ms": took[WARM:], "scores": scores, "rss_mib": peak_mib()}


def peak_mib() -> float:
    """The most memory that this process held; what getrusage says is inherited from the parent."""
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
