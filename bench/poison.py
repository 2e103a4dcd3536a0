"""What wrong answers cost: Driftline's lessons on the tile stream with a share of the answers turned round.

usage: python -m bench.poison [--budget 4000] [--rate 0.02] [--seeds 20261123 1 2] [--shares 0.05 0.1 0.2] [--draws 4]

Every answer is wrong with the given probability, drawn by part: defects are called good and good parts defects. A
wrong good counts as kept out where no patch of its marked region is in the last bank. All probes are scored by the
last version, against a run in which every answer is right. Tables are Markdown on stdout, progress is on stderr.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np

from bench.lib import arguments
from bench.lib.bank import patches_from
from bench.lib.learners import Setting
from bench.lib.lessons import Answer, Record, driftline, truth
from bench.lib.line import Line, Part, Result, State, examine, watch
from bench.lib.material import TILES_SEED, material
from bench.lib.protocol import STAGES, mask
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
    marked = np.flatnonzero(mask(part.shot, part.features.grid))
    return bool(np.isin(patches_from(state.bank, part.name), marked).any())


def judged(line: Line, states: list[State]) -> Result:
    """All probes by the last version."""
    return examine(line, [states[-1]] * len(STAGES), gain=True)


def harm(line: Line, clean: Result, states: list[State], record: Record) -> Harm:
    """What the wrong answers did."""
    poisoned = judged(line, states)
    by_name = {p.name: p for p in line.stream}
    wrong = [by_name[name] for name, label in record.answers.items() if label != truth(by_name[name])]
    goods = [part for part in wrong if part.shot.defective]
    return Harm(
        auroc=100 * (clean.auroc - poisoned.auroc),
        aupro=100 * (clean.aupro - poisoned.aupro),
        false_rejects=100 * float(np.mean(poisoned.false_rejects)),
        recall=100 * float(np.mean(poisoned.recall)),
        goods=len(goods),
        kept_out=sum(not learned(part, states[-1]) for part in goods),
        defects=len(wrong) - len(goods),
    )


def main() -> None:
    """All shares and draws over all seeds."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--budget", type=int, default=4000, help="patches in a bank")
    parser.add_argument("--rate", type=float, default=0.02, help="false-reject rate asked for")
    parser.add_argument("--seeds", type=int, nargs="*", default=[TILES_SEED, 1, 2], help="seeds of make_stream.py")
    parser.add_argument("--shares", type=float, nargs="*", default=[0.05, 0.1, 0.2], help="shares of wrong answers")
    parser.add_argument("--draws", type=int, default=4, help="draws of the wrong answers for each seed and share")
    options = arguments.parse(parser, budget=300, seeds=[1], shares=[0.2], draws=1)
    on = material(short=options.short)
    setting, backbone, started = Setting(options.budget, options.rate, 0), on.backbone(), time.perf_counter()
    harms: dict[float, list[Harm]] = {share: [] for share in options.shares}
    for seed in options.seeds:
        line = watch(on, on.shots(seed), backbone)
        states, _ = driftline(line, setting)
        clean = judged(line, states)
        print(f"seed {seed}: clean AUROC {clean.auroc:.3f}, AUPRO {clean.aupro:.3f}", file=sys.stderr, flush=True)
        for share in options.shares:
            for draw in range(options.draws):
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
    for share, runs in harms.items():
        lost, blurred = [h.auroc for h in runs], [h.aupro for h in runs]
        print(
            f"| {share:.0%} | {len(runs)} | {np.mean(lost):+.1f} ({max(lost):+.1f})"
            f" | {np.mean(blurred):+.1f} ({max(blurred):+.1f})"
            f" | {np.mean([h.false_rejects for h in runs]):.1f} | {np.mean([h.recall for h in runs]):.0f}"
            f" | {sum(h.kept_out for h in runs)} of {sum(h.goods for h in runs)}"
            f" | {sum(h.defects for h in runs)} |"
        )
    print(f"\nSeeds {options.seeds}, budget {options.budget}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
