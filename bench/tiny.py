"""driftline-tiny beside its teacher: what they find on the tiles, and how long they take.

usage: python bench/tiny.py [--rate 0.02]

The protocol of bench/tiles.py with a coreset of 10,000 and compensated light. tiny has seen tiles of the setup and
stream roles of `stream.csv`, none of the parts that its probes show. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import tiles
from bench.protocol import extractor, load, shots, tiny
from memory.extract import Extractor

ROUNDS, IMAGES = 5, 40


def took_ms(backbones: dict[str, Extractor]) -> dict[str, list[float]]:
    """Medians of `IMAGES` images, milliseconds each, in `ROUNDS` rounds in which every backbone has its turn."""
    images = [load(s) for s in shots()[:IMAGES]]
    found: dict[str, list[float]] = {name: [] for name in backbones}
    for _ in range(ROUNDS):
        for name, backbone in backbones.items():
            each = []
            for image in images:
                started = time.perf_counter()
                backbone(image)
                each.append((time.perf_counter() - started) * 1000)
            found[name].append(float(np.median(each)))
    return found


def main() -> None:
    """Two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=0.02, help="false-reject rate asked for")
    given = parser.parse_args()
    backbones = {"mobilenetv2_100 (teacher)": extractor(), "driftline-tiny": tiny()}
    results = [tiles.run(shots(), b, name, 10_000, given.rate, gain=True) for name, b in backbones.items()]
    tiles.show(results)
    print(f"\ntiny against its teacher: {100 * (results[1].auroc - results[0].auroc):+.1f} points of AUROC\n")
    print(f"| backbone, torch | ms an image, median of {ROUNDS} | of the teacher's |\n| --- | --- | --- |")
    spent = took_ms(backbones)
    first = np.median(next(iter(spent.values())))
    for name, rounds in spent.items():
        middle = np.median(rounds)
        print(f"| {name} | {middle:.1f} ({min(rounds):.1f} to {max(rounds):.1f}) | 1/{first / middle:.1f} |")


if __name__ == "__main__":
    main()
