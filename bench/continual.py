"""Learners of the tile stream side by side: what they score, forget, ask and cost.

usage: python bench/continual.py [--budget 4000] [--rate 0.02] [--seeds 20261123 1 2] [--orders 123456 654321 161616]

Every learner sees the same features, keeps the same budget (but for the append) and is calibrated alike. The stream
is short (104 images), so Driftline's label budget is set to about two fifths of it: `bench/learners.py`. Nothing is
chosen on probes. Tables are Markdown on stdout, progress is on stderr.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import learners
from bench.learners import Setting
from bench.line import Learner, Line, Result, examine, watch
from bench.protocol import STAGES, auroc, drawn, extractor

DRAWS = 1000


def contenders(setting: Setting) -> dict[str, tuple[Learner, bool]]:
    """Every learner by its name in the table, and whether it sees light compensated."""
    return {
        "static, plain distance, no gain": (lambda x: learners.static(x, setting, plain=True), False),
        "static, plain distance": (lambda x: learners.static(x, setting, plain=True), True),
        "static": (lambda x: learners.static(x, setting, plain=False), True),
        "append everything": (lambda x: learners.append(x, setting), True),
        "FIFO": (lambda x: learners.fifo(x, setting), True),
        "reservoir": (lambda x: learners.reservoir(x, setting), True),
        "incremental coreset": (lambda x: learners.incremental_coreset(x, setting), True),
        "rebuild (oracle)": (lambda x: learners.rebuild(x, setting), True),
        "Driftline": (lambda x: learners.driftline(x, setting)[0], True),
    }


def at_rate(result: Result, line: Line, rejected: int) -> float:
    """Recall over all probes where the learner's own stage banks flag just so many good ones."""
    truth = np.array([p.shot.defective for p in line.probes])
    at = np.array([p.shot.stage for p in line.probes])
    value = result.scores[at - 1, np.arange(len(at))]
    return float((value[truth] > np.sort(value[~truth])[::-1][rejected]).mean())


def row(name: str, result: Result, line: Line) -> str:
    """One learner's line of the table; recall is followed by the recall of the same scores at as many rejects."""
    truth = np.array([p.shot.defective for p in line.probes])
    rejects = " ".join(f"{100 * v:.0f}" for v in result.false_rejects)
    recall = " ".join(f"{100 * v:.0f}" for v in result.recall)
    pooled = 100 * float(result.flagged[truth].mean())
    cells = [
        name,
        f"{result.auroc:.3f}",
        f"{result.aupro:.3f}",
        rejects,
        f"{recall} ({pooled:.0f})",
        f"{100 * result.forgetting:.1f}",
        f"{100 * result.backward:+.1f}",
        str(result.labels),
        str(result.bank),
        f"{result.seconds:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def paired(line: Line, one: Result, other: Result, rng: np.random.Generator) -> list[float]:
    """AUROC differences (one - other) over bootstrap draws of probe parts (Efron 1979)."""
    truth = np.array([p.shot.defective for p in line.probes])
    parts = np.array([p.shot.part for p in line.probes])
    rows = [np.flatnonzero(parts == part) for part in np.unique(parts)]
    found = []
    for _ in range(DRAWS):
        drawn = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        found.append(auroc(one.scores[-1][drawn], truth[drawn]) - auroc(other.scores[-1][drawn], truth[drawn]))
    return found


def main() -> None:
    """All learners over all seeds and orders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=4000, help="patches in a bank")
    parser.add_argument("--rate", type=float, default=0.02, help="false-reject rate asked for")
    parser.add_argument("--seeds", type=int, nargs="*", default=[20261123, 1, 2], help="seeds of make_stream.py")
    parser.add_argument("--orders", nargs="*", default=["123456", "654321", "161616"], help="orders of the exposures")
    given = parser.parse_args()
    setting, backbone, started = Setting(given.budget, given.rate, 0), extractor(), time.perf_counter()
    for order in given.orders:
        results: dict[str, list[Result]] = {}
        gains: dict[str, list[list[float]]] = {}
        held_up: list[str] = []
        for seed in given.seeds:
            line = watch(drawn(seed, order), backbone)
            print(f"\n### Order {order}, seed {seed}\n")
            print("| learner | AUROC | AUPRO | false rejects, % | recall, % (pooled) | FM | BWT | labels | bank | s |")
            print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
            for name, (learner, gain) in contenders(setting).items():
                result = examine(line, learner(line), gain=gain)
                results.setdefault(name, []).append(result)
                print(row(name, result, line), flush=True)
                print(f"{time.perf_counter() - started:.0f} s: {order} {seed} {name}", file=sys.stderr, flush=True)
            ours = results["Driftline"][-1]
            truth = np.array([p.shot.defective for p in line.probes])
            rejected = int(ours.flagged[~truth].sum())
            static = at_rate(results["static, plain distance, no gain"][-1], line, rejected)
            compared = f"{100 * static:.0f} % static against {100 * ours.flagged[truth].mean():.0f} % Driftline"
            held_up.append(f"{compared} at {rejected} rejects")
            for name in results:
                rng = np.random.default_rng(seed)
                gains.setdefault(name, []).append(paired(line, ours, results[name][-1], rng))
        print(f"\n### Order {order}, mean over seeds {', '.join(map(str, given.seeds))}\n")
        print(
            "| learner | AUROC (min to max) | AUPRO | worst false rejects, % | recall, % | FM | BWT | labels |", end=""
        )
        print(" Driftline's gain, AUROC points [95 %] |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, found in results.items():
            gain_points = 100 * np.array(gains[name]).mean(axis=0)  # (seed, draw) -> (draw,)
            low, high = np.quantile(gain_points, [0.025, 0.975])
            mean = 100 * (np.mean([r.auroc for r in results["Driftline"]]) - np.mean([r.auroc for r in found]))
            scores = [r.auroc for r in found]
            print(
                f"| {name} | {np.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})"
                f" | {np.mean([r.aupro for r in found]):.3f} | {100 * max(max(r.false_rejects) for r in found):.0f}"
                f" | {100 * np.mean([np.mean(r.recall) for r in found]):.0f}"
                f" | {100 * np.mean([r.forgetting for r in found]):.1f}"
                f" | {100 * np.mean([r.backward for r in found]):+.1f} | {np.mean([r.labels for r in found]):.0f}"
                f" | {mean:+.1f} [{low:+.1f}, {high:+.1f}] |"
            )
        print(f"\nRecall at as many false rejects as Driftline's, by seed: {'; '.join(held_up)}.", flush=True)
    print(
        f"\n{len(STAGES)} stages, budget {given.budget}, rate {given.rate:.1%}, {time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
