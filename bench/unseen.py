"""What the defect memory does to defects of a kind that it was never shown: each class of tile defect left out.

usage: python bench/unseen.py [--budget 4000] [--rate 0.1] [--seeds 20261123 1 2]

The bank is taught from the setup images. The memory holds every defect of the stream but those of one class, each
where it is most anomalous; all probes are then scored with and without it, under the same threshold. `seen` is the
class left out when it is not: the memory holds all classes. The rate is higher than elsewhere, since at 2 % forty parts
find next to no defect that could be lost. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from memory.bank import Bank, Score
from memory.contrasts import NeighbourCache

from bench.learners import Setting, held, taught
from bench.line import GRID, Line, watch
from bench.protocol import auroc, drawn, extractor
from memory.defects import ConfirmedDefects, Defect, worst_patches
from memory.features import Features
from policies.threshold import Threshold, settle

Scores = npt.NDArray[np.float64]


def remembering(line: Line, contrasts: NeighbourCache, setting: Setting, but: str) -> tuple[Bank, Threshold]:
    """The bank with the memory of the stream's defects of all classes but one."""
    shown = [p for p in line.stream if p.shot.defective and p.shot.label != but]
    regions = [worst_patches(contrasts.score(p.features).map) for p in shown]
    defects = [Defect(p.name, p.features, region) for p, region in zip(shown, regions, strict=True)]
    settled, threshold = settle(contrasts, ConfirmedDefects(tuple(defects)), held(line.setup), setting.rate)
    return settled.bank, threshold


def raised(bank: Bank, seen: list[tuple[Features, Score]]) -> Scores:
    """Scores with the memory."""
    return np.array([bank.amplify(features, plain).value for features, plain in seen])


def main() -> None:
    """All classes over all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=4000, help="patches in a bank")
    parser.add_argument("--rate", type=float, default=0.1, help="false-reject rate asked for")
    parser.add_argument("--seeds", type=int, nargs="*", default=[20261123, 1, 2], help="seeds of make_stream.py")
    given = parser.parse_args()
    setting, backbone = Setting(given.budget, given.rate, 0), extractor()
    found: dict[str, list[list[float]]] = {}
    for seed in given.seeds:
        line = watch(drawn(seed), backbone)
        contrasts = NeighbourCache(taught(line, setting))
        pictures = [Features(p.features.patches.astype(np.float32), GRID) for p in line.probes]
        seen = [(features, contrasts.bank.normalised_distance(features)) for features in pictures]
        plain = np.array([score.value for _, score in seen])
        label = np.array([p.shot.label for p in line.probes])
        every, limit = remembering(line, contrasts, setting, "")
        with_all = raised(every, seen)
        for kind in sorted(set(label) - {"good"}):
            bank, threshold = remembering(line, contrasts, setting, kind)
            without = raised(bank, seen)
            assert threshold.value == limit.value  # noqa: S101  # the memory moves no threshold
            of, good = label == kind, label == "good"
            either = of | good
            found.setdefault(kind, []).append(
                [
                    of.sum(),
                    *((scores[of] > limit.value).mean() for scores in (plain, without, with_all)),
                    *(auroc(scores[either], of[either]) for scores in (plain, without, with_all)),
                    *((scores[good] > limit.value).mean() for scores in (plain, without)),
                ]
            )
    print("| class | probes | recall, %: no memory | left out | seen | AUROC: no memory | left out | seen |", end="")
    print(" false rejects, %: no memory | left out |\n" + "| --- " * 10 + "|")
    for kind, rows in found.items():
        probes, *rates = np.mean(rows, axis=0)
        recall, ranks, rejects = rates[:3], rates[3:6], rates[6:]
        cells = [f"{probes:.0f}", *(f"{100 * r:.1f}" for r in recall), *(f"{r:.3f}" for r in ranks)]
        print(f"| {kind} | {' | '.join([*cells, *(f'{100 * r:.1f}' for r in rejects)])} |")
    print(f"\nMeans over seeds {given.seeds}, budget {given.budget}, rate {given.rate:.1%}.")


if __name__ == "__main__":
    main()
