"""What both sides of bench/speed.py are given: the same images and the same backbones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bench.protocol import Shot, extractor, shots, tiny
from memory.extract import Extractor

INPUT_PX = MAP_PX = 256
WARM = 10
ENOUGH_S = 30.0  # a side that takes longer for all images stops, after `WARM` and twice as many more
IMAGES = 110
BACKBONES = ("driftline-tiny", "mobilenetv2_100", "resnet18", "wide_resnet50_2")


def backbone(name: str) -> Extractor:
    """A backbone by name; without weights here, ResNets are random, which takes as long."""
    if name == "driftline-tiny":
        return tiny()
    if name == "mobilenetv2_100":
        return extractor()
    return Extractor(model=name, layers=(2, 3), weights="untrained", input_px=INPUT_PX, normalize=True, device="cpu")


def wanted() -> list[Shot]:
    """Probes, good ones and defects, in the protocol's order."""
    probes = [s for s in shots() if s.role == "probe"]
    return probes[:: max(len(probes) // IMAGES, 1)][:IMAGES]


def images() -> list[bytes]:
    """Their files."""
    return [s.image.read_bytes() for s in wanted()]


def timed(score: Callable[[bytes], float]) -> dict[str, object]:
    """Milliseconds an image after the first `WARM`, the scores, and the most memory held."""
    took: list[float] = []
    scores: list[float] = []
    for data in images():
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
