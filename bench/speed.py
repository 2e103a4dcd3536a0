"""How many images a second, beside anomalib's PatchCore: the same machine, images, backbone, weights and bank.

usage: python -m bench.speed [--backbones driftline-tiny …] [--banks 1000 10000 50000] [--rounds 3] [--short]

JPEG bytes in, verdict and 256² anomaly map out, batch 1, two threads. All run in processes of their own, in turns;
anomalib lives in an environment of its own, which is made here once. The short form times Driftline alone. Markdown on
stdout, progress on stderr.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.lib import arguments, environments
from bench.lib.host import stolen
from bench.lib.material import Material, material
from bench.lib.protocol import load
from bench.lib.speed_protocol import BACKBONES, INPUT_PX, extractor, probes, task, write
from daemon.evaluation.metrics import auroc
from memory.extract import Extractor

SIDES = (
    ("Driftline", "torch"),
    ("Driftline", "openvino"),
    ("Driftline", "openvino-bf16"),
    ("Driftline", "openvino-int8"),
    ("anomalib", "torch"),
    ("anomalib", "openvino"),
)
SHORT_SIDES = SIDES[:2]


def run(side: tuple[str, str], folder: Path) -> list[dict[str, Any]] | None:
    """One side's times in milliseconds, its scores and its peak memory, for each bank; None where it fails."""
    (who, backend), result = side, folder / "result.json"
    if who == "Driftline":
        succeeded = environments.run(Path(sys.executable), "bench.lib.speed_ours", folder, backend, result)
    else:
        succeeded = environments.run(environments.anomalib(), "bench.lib.speed_anomalib", folder, backend, result)
    return list(json.loads(result.read_text())) if succeeded else None


def peak_gflops() -> float:
    """What two threads of this machine do in a matrix product."""
    import torch

    torch.set_num_threads(2)
    one = torch.rand(2048, 2048)
    best = 0.0
    for _ in range(10):
        started = time.perf_counter()
        one @ one
        best = max(best, 2 * 2048**3 / (time.perf_counter() - started) / 1e9)
    return best


def gflop(extract: Extractor) -> float:
    """Billions of multiplications and additions that a backbone takes for one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        extract.network(torch.zeros((1, INPUT_PX, INPUT_PX, 3), dtype=torch.uint8))
    return float(counter.get_total_flops()) / 1e9


def patches(on: Material, extract: Extractor, count: int) -> npt.NDArray[np.float32]:
    """So many patches (count, D) of setup and stream images, drawn at random."""
    shots = [shot for shot in on.shots() if shot.role in {"setup", "stream"}][:: 1 if count > 40_000 else 3]
    every = np.concatenate([extract(load(shot, INPUT_PX)).patches for shot in shots])
    return every[np.random.default_rng(0).permutation(len(every))[:count]]


def main() -> None:
    """A row for every backbone and bank."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--backbones", nargs="*", default=list(BACKBONES))
    parser.add_argument("--banks", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=3, help="how often both sides have their turn")
    options = arguments.parse(parser, backbones=["driftline-tiny"], banks=[1_000], rounds=1)
    on, before = material(short=options.short), stolen()
    truth = np.array([shot.defective for shot in probes(on)])
    peak = peak_gflops()
    print(f"{len(truth)} images; a matrix product does {peak:.0f} GFLOPS on two threads.")
    backbones = {name: extractor(name) for name in options.backbones}
    for name, extract in backbones.items():
        work = gflop(extract)
        print(f"{name} takes {work:.2f} GFLOP an image, {1000 * work / peak:.1f} ms at that peak.")
    print()
    heads = "p50, ms | p99, ms | images a second | peak MiB | AUROC"
    print(f"| backbone | bank | side | {heads} |\n| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name, extract in backbones.items():
        every = SHORT_SIDES if options.short else SIDES
        sides = [s for s in every if s[0] == "Driftline" or name != "driftline-tiny"]  # which timm does not know
        with tempfile.TemporaryDirectory() as folder:
            job = task(on, name, options.banks)
            write(Path(folder), job, patches(on, extract, max(job.sizes)))
            results = [[run(side, Path(folder)) for side in sides] for _ in range(options.rounds)]
        for number, size in enumerate(job.sizes):
            for side, rounds in zip(sides, zip(*results, strict=True), strict=True):
                of_bank = [banks[number] for banks in rounds if banks]
                print(f"| {name} | {size:,} | {' '.join(side)} | {_row(of_bank, truth)} |", flush=True)
    took, of = (now - then for now, then in zip(stolen(), before, strict=True))
    print(f"\nOther machines took {took / of:.0%} of the processors' time meanwhile.")


def _row(rounds: Sequence[dict[str, Any]], truth: npt.NDArray[np.bool_]) -> str:
    if not rounds:
        return "failed | | | |"
    p50, p99 = (float(np.median([np.percentile(r["ms"], p) for r in rounds])) for p in (50, 99))
    rate = 1000 / float(np.median([np.mean(r["ms"]) for r in rounds]))
    scores = np.array(rounds[0]["scores"])
    ranked = f"{auroc(scores, truth):.3f}" if len(scores) == len(truth) else "—"
    return f"{p50:.1f} | {p99:.1f} | {rate:.1f} | {max(r['rss_mib'] for r in rounds):.0f} | {ranked}"


if __name__ == "__main__":
    main()
