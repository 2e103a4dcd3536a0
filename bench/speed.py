"""How many images a second, beside anomalib's PatchCore: the same machine, images, backbone, weights and bank.

usage: python bench/speed.py [--backbones driftline-tiny …] [--banks 1000 10000 50000] [--rounds 3]

JPEG bytes in, verdict and 256² anomaly map out, batch 1, two threads. All run in processes of their own, in turns;
anomalib lives in an environment of its own, which is made here once. Markdown on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.peers import ROOT, python
from bench.protocol import auroc, load, shots
from bench.speed_protocol import BACKBONES, INPUT_PX, backbone, wanted
from memory.extract import Extractor

HOME = ROOT / ".venv-anomalib"
PEER = "anomalib[core]==2.7.0"
SIDES = (
    ("Driftline", "torch"),
    ("Driftline", "openvino"),
    ("Driftline", "openvino-bf16"),
    ("Driftline", "openvino-int8"),
    ("anomalib", "torch"),
    ("anomalib", "openvino"),
)


def anomalib() -> Path:
    """The interpreter of anomalib's environment."""
    return python(HOME, PEER, on_ours=True)


def run(side: tuple[str, str], given: Path, folder: Path) -> list[dict[str, Any]] | None:
    """One side's times in milliseconds, its scores and its peak memory, for each bank; None where it fails."""
    (who, backend), told = side, folder / "told.json"
    ours = who == "Driftline"
    interpreter, script = (Path(sys.executable), "speed_ours.py") if ours else (anomalib(), "speed_anomalib.py")
    command = [str(interpreter), "-W", "ignore", str(ROOT / "bench" / script), str(given), backend, str(told)]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        return None
    return list(json.loads(told.read_text()))


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


def stolen() -> tuple[int, int]:
    """Ticks of all processors that the host took for other machines since the start, and all ticks."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def gflop(extract: Extractor) -> float:
    """Billions of multiplications and additions that a backbone takes for one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        extract.network(torch.zeros((INPUT_PX, INPUT_PX, 3), dtype=torch.uint8))
    return float(counter.get_total_flops()) / 1e9


def main() -> None:
    """A row for every backbone and bank."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="*", default=list(BACKBONES))
    parser.add_argument("--banks", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=3, help="how often both sides have their turn")
    given = parser.parse_args()
    before = stolen()
    truth = np.array([s.defective for s in wanted()])
    peak = peak_gflops()
    print(f"{len(truth)} images; a matrix product does {peak:.0f} GFLOPS on two threads.")
    for name in given.backbones:
        work = gflop(backbone(name))
        print(f"{name} takes {work:.2f} GFLOP an image, {1000 * work / peak:.1f} ms at that peak.")
    print()
    heads = "p50, ms | p99, ms | images a second | peak MiB | AUROC"
    print(f"| backbone | bank | side | {heads} |\n| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in given.backbones:
        extract = backbone(name)
        taught = [s for s in shots() if s.role in {"setup", "stream"}]
        taught = taught[:: 1 if max(given.banks) > 40_000 else 3]
        patches = np.concatenate([extract(load(s)).patches for s in taught])
        sides = [s for s in SIDES if s[0] == "Driftline" or name != "driftline-tiny"]  # which timm does not know
        rows = np.random.default_rng(0).permutation(len(patches))[: max(given.banks)]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "given.npz"
            np.savez(file, backbone=name, vectors=patches[rows], sizes=sorted(given.banks))
            told = [[run(side, file, Path(folder)) for side in sides] for _ in range(given.rounds)]
        for at, size in enumerate(sorted(given.banks)):
            for side, rounds in zip(sides, zip(*told, strict=True), strict=True):
                mine = [banks[at] for banks in rounds if banks]
                print(f"| {name} | {size:,} | {' '.join(side)} | {_row(mine, truth)} |", flush=True)
    took, of = (now - then for now, then in zip(stolen(), before, strict=True))
    print(f"\nOther machines took {took / of:.0%} of the processors' time meanwhile.")


def _row(mine: Sequence[dict[str, Any]], truth: npt.NDArray[np.bool_]) -> str:
    if not mine:
        return "failed | | | |"
    p50, p99 = (float(np.median([np.percentile(m["ms"], p) for m in mine])) for p in (50, 99))
    rate = 1000 / float(np.median([np.mean(m["ms"]) for m in mine]))
    scores = np.array(mine[0]["scores"])
    found = f"{auroc(scores, truth):.3f}" if len(scores) == len(truth) else "—"
    return f"{p50:.1f} | {p99:.1f} | {rate:.1f} | {max(m['rss_mib'] for m in mine):.0f} | {found}"


if __name__ == "__main__":
    main()
