"""driftline-tiny beside its teacher: what they find on the tiles, and how long they take.

usage: python -m bench.tiny [--rate 0.02] [--short]

The protocol of bench/tiles.py with a coreset of 10,000 and compensated light. tiny has seen tiles of the setup and
stream roles of `stream.csv`, none of the parts that its probes show. The short form has no teacher's weights: random
ones stand for them. Markdown on stdout.
"""

from __future__ import annotations

import time

import numpy as np

from bench.lib import arguments, static
from bench.lib.bank import BUDGET
from bench.lib.material import MOBILENET, TINY, Material, backbone, material
from memory.extract import Extractor

ROUNDS, IMAGES, SHORT_IMAGES = 5, 40, 4


def took_ms(on: Material, backbones: dict[str, Extractor]) -> dict[str, list[float]]:
    """Medians over images, milliseconds each, in `ROUNDS` rounds in which every backbone has its turn."""
    images = [on.load(shot) for shot in on.shots()[: SHORT_IMAGES if on.short else IMAGES]]
    medians: dict[str, list[float]] = {name: [] for name in backbones}
    for _ in range(ROUNDS):
        for name, extract in backbones.items():
            each = []
            for image in images:
                started = time.perf_counter()
                extract(image)
                each.append((time.perf_counter() - started) * 1000)
            medians[name].append(float(np.median(each)))
    return medians


def main() -> None:
    """Two tables."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--rate", type=float, default=0.02, help="false-reject rate asked for")
    parser.add_argument("--budget", type=int, default=BUDGET, help="patches in a bank")
    options = arguments.parse(parser, budget=500)
    on = material(short=options.short)
    teacher = MOBILENET
    if options.short:
        teacher = MOBILENET.model_copy(update={"weights": "untrained", "input_px": on.extractor.input_px})
    student = TINY.model_copy(update={"input_px": on.extractor.input_px})
    backbones = {"mobilenetv2_100 (teacher)": backbone(teacher), "driftline-tiny": backbone(student)}
    results = [
        static.run(on, on.shots(), extract, name, options.budget, options.rate, gain=True)
        for name, extract in backbones.items()
    ]
    static.show(results)
    print(f"\ntiny against its teacher: {100 * (results[1].auroc - results[0].auroc):+.1f} points of AUROC\n")
    print(f"| backbone, torch | ms an image, median of {ROUNDS} | of the teacher's |\n| --- | --- | --- |")
    spent = took_ms(on, backbones)
    first = np.median(next(iter(spent.values())))
    for name, rounds in spent.items():
        middle = np.median(rounds)
        print(f"| {name} | {middle:.1f} ({min(rounds):.1f} to {max(rounds):.1f}) | 1/{first / middle:.1f} |")


if __name__ == "__main__":
    main()
