"""What the defect memory does to defects of a kind that it was never shown: each class of tile defect left out.

usage: python -m bench.unseen [--budget 4000] [--rate 0.1] [--seeds 20261123 1 2]

The bank is taught from the setup images. The memory holds every defect of the stream but those of one class, each
where it is most anomalous; all probes are then scored with and without it, under the same threshold. `seen` is the
class left out when it is not: the memory holds all classes. The rate is higher than elsewhere, since at 2 % forty parts
find next to no defect that could be lost. Markdown on stdout.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.lib import arguments
from bench.lib.bank import Calibrated, calibrated, confirmed_defect
from bench.lib.learners import Setting, taught
from bench.lib.line import Line, named, watch
from bench.lib.material import TILES_SEED, material
from daemon.evaluation.metrics import auroc
from memory.defects import Defect
from memory.patch_bank.bank import PatchBank
from memory.patch_bank.neighbours import PatchScores

Scores = npt.NDArray[np.float64]


def remembering(line: Line, bank: PatchBank, setting: Setting, defects: Sequence[Defect]) -> Calibrated:
    """The bank with the memory of these defects."""
    return calibrated(bank, named(line.setup), setting.rate, defects)


def amplified(bank: PatchBank, probes: list[PatchScores]) -> Scores:
    """Scores with the memory."""
    memory = bank.defect_memory
    return np.array([memory.amplify(p.features.patches, p.distance, p.scale).max() for p in probes])


def main() -> None:
    """All classes over all seeds."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--budget", type=int, default=4000, help="patches in a bank")
    parser.add_argument("--rate", type=float, default=0.1, help="false-reject rate asked for")
    parser.add_argument("--seeds", type=int, nargs="*", default=[TILES_SEED, 1, 2], help="seeds of make_stream.py")
    options = arguments.parse(parser, budget=300, seeds=[1])
    on = material(short=options.short)
    setting, backbone = Setting(options.budget, options.rate, 0), on.backbone()
    rows_of: dict[str, list[list[float]]] = {}
    for seed in options.seeds:
        line = watch(on, on.shots(seed), backbone)
        bank = taught(line, setting)
        bad = [p for p in line.stream if p.shot.defective]
        confirmed = [(p.shot.label, confirmed_defect(p.name, p.features, bank)) for p in bad]
        probes = [bank.normalised_distance(p.full) for p in line.probes]
        plain = np.array([score.value for score in probes])
        label = np.array([p.shot.label for p in line.probes])
        every = remembering(line, bank, setting, [defect for _, defect in confirmed])
        with_all, limit = amplified(every.bank, probes), every.threshold.value
        for kind in sorted(set(label) - {"good"}):
            others = remembering(line, bank, setting, [defect for of, defect in confirmed if of != kind])
            without = amplified(others.bank, probes)
            assert others.threshold.value == limit  # noqa: S101  # the memory moves no threshold
            of, good = label == kind, label == "good"
            either = of | good
            rows_of.setdefault(kind, []).append(
                [
                    of.sum(),
                    *((scores[of] > limit).mean() for scores in (plain, without, with_all)),
                    *(auroc(scores[either], of[either]) for scores in (plain, without, with_all)),
                    *((scores[good] > limit).mean() for scores in (plain, without)),
                ]
            )
    print("| class | probes | recall, %: no memory | left out | seen | AUROC: no memory | left out | seen |", end="")
    print(" false rejects, %: no memory | left out |\n" + "| --- " * 10 + "|")
    for kind, rows in rows_of.items():
        probes_of_kind, *rates = np.mean(rows, axis=0)
        recall, ranks, rejects = rates[:3], rates[3:6], rates[6:]
        cells = [f"{probes_of_kind:.0f}", *(f"{100 * r:.1f}" for r in recall), *(f"{r:.3f}" for r in ranks)]
        print(f"| {kind} | {' | '.join([*cells, *(f'{100 * r:.1f}' for r in rejects)])} |")
    print(f"\nMeans over seeds {options.seeds}, budget {options.budget}, rate {options.rate:.1%}.")


if __name__ == "__main__":
    main()
