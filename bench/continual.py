"""Learners of the tile stream side by side: what they score, forget, ask and cost.

usage: python -m bench.continual [--budget 4000] [--rate 0.02] [--seeds 20261123 1 2] [--orders 123456 654321 161616]

Every learner sees the same features, keeps the same budget (but for the append) and is calibrated alike. The stream
is short (104 images), so Driftline's label budget is set to about two fifths of it: `bench/lib/lessons.py`. Nothing is
chosen on probes. Tables are Markdown on stdout, progress is on stderr.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from bench.lib import arguments, learners
from bench.lib.learners import Setting
from bench.lib.lessons import driftline
from bench.lib.line import Learner, Line, Result, examine, watch
from bench.lib.material import TILES_SEED, material
from bench.lib.protocol import STAGES
from daemon.evaluation.metrics import auroc

DRAWS, SHORT_DRAWS = 1000, 20


def contenders(setting: Setting) -> dict[str, tuple[Learner, bool]]:
    """Every learner by its name in the table, and whether it sees light compensated."""
    return {
        "static, plain distance, no gain": (lambda x: learners.static(x, setting, by_distance=True), False),
        "static, plain distance": (lambda x: learners.static(x, setting, by_distance=True), True),
        "static": (lambda x: learners.static(x, setting, by_distance=False), True),
        "append everything": (lambda x: learners.append(x, setting), True),
        "FIFO": (lambda x: learners.fifo(x, setting), True),
        "reservoir": (lambda x: learners.reservoir(x, setting), True),
        "incremental coreset": (lambda x: learners.incremental_coreset(x, setting), True),
        "rebuild (oracle)": (lambda x: learners.rebuild(x, setting), True),
        "Driftline": (lambda x: driftline(x, setting)[0], True),
    }


def at_rate(result: Result, line: Line, rejected: int) -> float:
    """Recall over all probes where the learner's own stage banks flag just so many good ones."""
    truth = np.array([p.shot.defective for p in line.probes])
    of_stage = np.array([p.shot.stage for p in line.probes])
    value = result.scores[of_stage - 1, np.arange(len(of_stage))]
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


def paired(line: Line, one: Result, other: Result, draws: int, rng: np.random.Generator) -> list[float]:
    """AUROC differences (one - other) over bootstrap draws of probe parts (Efron 1979)."""
    truth = np.array([p.shot.defective for p in line.probes])
    parts = np.array([p.shot.part for p in line.probes])
    rows = [np.flatnonzero(parts == part) for part in np.unique(parts)]
    differences = []
    for _ in range(draws):
        drawn = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        differences.append(auroc(one.scores[-1][drawn], truth[drawn]) - auroc(other.scores[-1][drawn], truth[drawn]))
    return differences


def summary(results: dict[str, list[Result]], gains: dict[str, list[list[float]]]) -> None:
    """Prints the means over seeds, a row for every learner."""
    print("| learner | AUROC (min to max) | AUPRO | worst false rejects, % | recall, % | FM | BWT | labels |", end="")
    print(" Driftline's gain, AUROC points [95 %] |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, by_seed in results.items():
        gain_points = 100 * np.array(gains[name]).mean(axis=0)  # (seed, draw) -> (draw,)
        low, high = np.quantile(gain_points, [0.025, 0.975])
        scores = [r.auroc for r in by_seed]
        mean = 100 * (np.mean([r.auroc for r in results["Driftline"]]) - np.mean(scores))
        print(
            f"| {name} | {np.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})"
            f" | {np.mean([r.aupro for r in by_seed]):.3f} | {100 * max(max(r.false_rejects) for r in by_seed):.0f}"
            f" | {100 * np.mean([np.mean(r.recall) for r in by_seed]):.0f}"
            f" | {100 * np.mean([r.forgetting for r in by_seed]):.1f}"
            f" | {100 * np.mean([r.backward for r in by_seed]):+.1f} | {np.mean([r.labels for r in by_seed]):.0f}"
            f" | {mean:+.1f} [{low:+.1f}, {high:+.1f}] |"
        )


def main() -> None:
    """All learners over all seeds and orders."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--budget", type=int, default=4000, help="patches in a bank")
    parser.add_argument("--rate", type=float, default=0.02, help="false-reject rate asked for")
    parser.add_argument("--seeds", type=int, nargs="*", default=[TILES_SEED, 1, 2], help="seeds of make_stream.py")
    parser.add_argument("--orders", nargs="*", default=["123456", "654321", "161616"], help="orders of the exposures")
    options = arguments.parse(parser, budget=300, seeds=[1], orders=["161616"])
    on, draws = material(short=options.short), SHORT_DRAWS if options.short else DRAWS
    setting, backbone, started = Setting(options.budget, options.rate, 0), on.backbone(), time.perf_counter()
    for order in options.orders:
        results: dict[str, list[Result]] = {}
        gains: dict[str, list[list[float]]] = {}
        compared: list[str] = []
        for seed in options.seeds:
            line = watch(on, on.shots(seed, order), backbone)
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
            recall = f"{100 * static:.0f} % static against {100 * ours.flagged[truth].mean():.0f} % Driftline"
            compared.append(f"{recall} at {rejected} rejects")
            for name in results:
                rng = np.random.default_rng(seed)
                gains.setdefault(name, []).append(paired(line, ours, results[name][-1], draws, rng))
        print(f"\n### Order {order}, mean over seeds {', '.join(map(str, options.seeds))}\n")
        summary(results, gains)
        print(f"\nRecall at as many false rejects as Driftline's, by seed: {'; '.join(compared)}.", flush=True)
    spent = f"{time.perf_counter() - started:.0f} s"
    print(f"\n{len(STAGES)} stages, budget {options.budget}, rate {options.rate:.1%}, {spent}")


if __name__ == "__main__":
    main()
