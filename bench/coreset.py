"""Choosing a bank: our greedy coreset beside anomalib's loop, on the same patches.

usage: python -m bench.coreset [--patches 100000] [--budget 10000] [--seeds 3] [--short]

Seconds and the covering radius, the largest distance of a patch to its nearest chosen one in the full space. anomalib
chooses in a random projection of its own; it is started once, in its own environment. The short form chooses by ours
alone. Markdown on stdout.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.lib import arguments
from bench.lib.environments import anomalib
from bench.lib.material import TINY, backbone, material
from bench.lib.protocol import load
from memory.distances import nearest_squared
from memory.patch_bank.coreset import select

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


def chosen_by_anomalib(patches: npt.NDArray[np.float32], budget: int) -> dict[str, Any]:
    """Its `seconds` and the `rows` it chose."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "patches.npy"
        np.save(file, patches)
        command = [str(anomalib()), "-W", "ignore", "-c", CHILD, str(file), str(budget)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed.splitlines()[-1]))


def main() -> None:
    """One table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--patches", type=int, default=100_000)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3, help="how often ours chooses, each time from another patch")
    options = arguments.parse(parser, patches=10_000, budget=1_000)
    on, extract = material(short=options.short), backbone(TINY)
    shots = [shot for shot in on.shots() if shot.role in {"setup", "stream"}]
    every = np.concatenate([extract(load(shot, extract.input_px)).patches for shot in shots])
    patches = every[np.random.default_rng(0).permutation(len(every))[: options.patches]]

    def radius(rows: list[int]) -> float:
        return float(np.sqrt(nearest_squared(patches, patches[rows]).max()))

    print(f"{len(patches):,} patches of driftline-tiny, {patches.shape[1]} numbers each, to {options.budget:,}.\n")
    print("| | seconds | covering radius |\n| --- | --- | --- |")
    took, radii = [], []
    for seed in range(options.seeds):
        started = time.perf_counter()
        rows = select(patches[:0], patches, options.budget, seed)
        took.append(time.perf_counter() - started)
        radii.append(radius(rows.tolist()))
    print(f"| Driftline, median of {options.seeds} | {np.median(took):.1f} | {np.median(radii):.3f} |", flush=True)
    if not options.short:
        peer = chosen_by_anomalib(patches, options.budget)
        theirs = radius(peer["rows"])
        print(f"| anomalib's loop | {peer['seconds']:.1f} | {theirs:.3f} |")
        print(f"\n{peer['seconds'] / np.median(took):.0f} times as fast; radius {np.median(radii) / theirs - 1:+.1%}.")


if __name__ == "__main__":
    main()
