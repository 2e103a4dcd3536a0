"""Choosing a bank: our greedy coreset beside anomalib's loop, on the same patches.

usage: python bench/coreset.py [--patches 100000] [--budget 10000] [--seeds 3]

Seconds and the covering radius, the largest distance of a patch to its nearest chosen one in the full space. anomalib
chooses in a random projection of its own; it is started once, in its own environment. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from memory.coreset import nearest_squared, select

from bench.protocol import load, shots, tiny
from bench.speed import anomalib

CHILD = """
import json, sys, time
import numpy as np, torch
from anomalib.models.components import KCenterGreedy
torch.set_num_threads(2)
torch.manual_seed(0)
patches = torch.from_numpy(np.load(sys.argv[1]))
started = time.perf_counter()
rows = KCenterGreedy(embedding=patches, sampling_ratio=int(sys.argv[2]) / len(patches)).select_coreset_idxs()
print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))
"""


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=100_000)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3, help="how often ours chooses, each time from another patch")
    given = parser.parse_args()
    extract = tiny()
    every = np.concatenate([extract(load(s)).patches for s in shots() if s.role in {"setup", "stream"}])
    patches = every[np.random.default_rng(0).permutation(len(every))[: given.patches]]

    def radius(rows: list[int]) -> float:
        return float(np.sqrt(nearest_squared(patches, patches[rows]).max()))

    print(f"{len(patches):,} patches of driftline-tiny, {patches.shape[1]} numbers each, to {given.budget:,}.\n")
    print("| | seconds | covering radius |\n| --- | --- | --- |")
    took, radii = [], []
    for seed in range(given.seeds):
        started = time.perf_counter()
        rows = select(patches[:0], patches, given.budget, seed)
        took.append(time.perf_counter() - started)
        radii.append(radius(rows.tolist()))
    print(f"| Driftline, median of {given.seeds} | {np.median(took):.1f} | {np.median(radii):.3f} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "patches.npy"
        np.save(held, patches)
        command = [str(anomalib()), "-W", "ignore", "-c", CHILD, str(held), str(given.budget)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    theirs = radius(told["rows"])
    print(f"| anomalib's loop | {told['seconds']:.1f} | {theirs:.3f} |")
    print(f"\n{told['seconds'] / np.median(took):.0f} times as fast; radius {np.median(radii) / theirs - 1:+.1%}.")


if __name__ == "__main__":
    main()
