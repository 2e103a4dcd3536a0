"""What wrong answers cost: Driftline's lessons on the tile stream with a share of the answers turned round.

usage: python bench/poison.py [--budget 4000] [--rate 0.02] [--seeds 20261123 1 2] [--shares 0.05 0.1 0.2] [--draws 4]

Every answer is wrong with the given probability, drawn by part: defects are called good and good parts defects. A
wrong good counts as kept out where no patch of its marked region is in the last bank. All probes are scored by the
last version, against a run in which every answer is right. Tables are Markdown on stdout, progress is on stderr.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.learners import Answer, Record, Setting, driftline, truth
from bench.line import GRID, Line, Part, Result, State, examine, watch
from bench.protocol import STAGES, drawn, extractor, mask
from policies.ask import audited

WRONG = {"good": "defect", "defect": "good"}


@dataclass(frozen=True)
class Harm:
    """One run with wrong answers against the clean one, in points; wrong goods and how many of them taught nothing of
    their defect; wrong defects."""

    auroc: float
    aupro: float
    false_rejects: float
    recall: float
    goods: int
    kept_out: int
    defects: int


def liar(share: float, draw: int) -> Answer:
    """An operator who is wrong about this share of parts, the same parts whenever asked."""

    def answer(part: Part) -> str:
        wrong = audited(f"{draw}/{part.shot.image.name}", share)
        return WRONG[truth(part)] if wrong else truth(part)

    return answer


def learned(part: Part, state: State) -> bool:
    """Whether a patch of the part's marked defect is in the bank."""
    bank = state.bank
    if part.name not in bank.samples:
        return False
    marked = np.flatnonzero(mask(part.shot, GRID[0]))
    return bool(np.isin(bank.patch_index[bank.sample_index == bank.samples.index(part.name)], marked).any())


def judged(line: Line, states: list[State]) -> Result:
    """All probes by the last version."""
    return examine(line, [states[-1]] * len(STAGES), gain=True)


def harm(line: Line, clean: Result, states: list[State], record: Record) -> Harm:
    """What the wrong answers did."""
    made = judged(line, states)
    by_name = {p.name: p for p in line.stream}
    wrong = [by_name[name] for name, said in record.answers.items() if said != truth(by_name[name])]
    goods = [part for part in wrong if part.shot.defective]
    return Harm(
        auroc=100 * (clean.auroc - made.auroc),
        aupro=100 * (clean.aupro - made.aupro),
        false_rejects=100 * float(np.mean(made.false_rejects)),
        recall=100 * float(np.mean(made.recall)),
        goods=len(goods),
        kept_out=sum(not learned(part, states[-1]) for part in goods),
        defects=len(wrong) - len(goods),
    )


def main() -> None:
    """All shares and draws over all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=4000, help="patches in a bank")
    parser.add_argument("--rate", type=float, default=0.02, help="false-reject rate asked for")
    parser.add_argument("--seeds", type=int, nargs="*", default=[20261123, 1, 2], help="seeds of make_stream.py")
    parser.add_argument("--shares", type=float, nargs="*", default=[0.05, 0.1, 0.2], help="shares of wrong answers")
    parser.add_argument("--draws", type=int, default=4, help="draws of the wrong answers for each seed and share")
    given = parser.parse_args()
    setting, backbone, started = Setting(given.budget, given.rate, 0), extractor(), time.perf_counter()
    harms: dict[float, list[Harm]] = {share: [] for share in given.shares}
    for seed in given.seeds:
        line = watch(drawn(seed), backbone)
        states, _ = driftline(line, setting)
        clean = judged(line, states)
        print(f"seed {seed}: clean AUROC {clean.auroc:.3f}, AUPRO {clean.aupro:.3f}", file=sys.stderr, flush=True)
        for share in given.shares:
            for draw in range(given.draws):
                harms[share].append(harm(line, clean, *driftline(line, setting, liar(share, draw))))
                print(
                    f"{time.perf_counter() - started:.0f} s: {share:.0%} {harms[share][-1]}",
                    file=sys.stderr,
                    flush=True,
                )
    print(
        "| wrong answers | runs | AUROC lost, points (worst) | AUPRO lost (worst) | false rejects, % | recall, %",
        end="",
    )
    print(" | defects called good: kept out | good parts called defect |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for share, found in harms.items():
        lost, blurred = [h.auroc for h in found], [h.aupro for h in found]
        print(
            f"| {share:.0%} | {len(found)} | {np.mean(lost):+.1f} ({max(lost):+.1f})"
            f" | {np.mean(blurred):+.1f} ({max(blurred):+.1f})"
            f" | {np.mean([h.false_rejects for h in found]):.1f} | {np.mean([h.recall for h in found]):.0f}"
            f" | {sum(h.kept_out for h in found)} of {sum(h.goods for h in found)}"
            f" | {sum(h.defects for h in found)} |"
        )
    print(f"\nSeeds {given.seeds}, budget {given.budget}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
