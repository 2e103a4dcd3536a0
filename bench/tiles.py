"""The tile protocol's table for a static bank, with and without exposure compensation.

usage: python -m bench.tiles [--rate 0.02] [--seeds 1 2] [--short]

Taught from the setup role, no learning; the stream only moves the estimate of the light. All probes are
scored after every stage under the light of that stage; nothing is chosen on them.
"""

from __future__ import annotations

import time

import numpy as np

from bench.lib import arguments
from bench.lib.bank import BUDGET
from bench.lib.material import material
from bench.lib.static import Result, run, show


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Three seeds of the protocol: the fixed one and two more from make_stream.py."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--rate", type=float, default=0.02, help="false-reject rate asked for")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2], help="further protocol seeds")
    parser.add_argument("--budget", type=int, default=BUDGET, help="patches of the coreset")
    options = arguments.parse(parser, seeds=[], budget=500)
    on = material(short=options.short)
    backbone, started = on.backbone(), time.perf_counter()
    every: dict[str, list[Result]] = {}
    protocols = {"stream.csv": on.shots()} | {f"seed {seed}": on.shots(seed) for seed in options.seeds}
    settings = (
        ("static, all patches", None, False),
        (f"static, coreset {options.budget:,}", options.budget, False),
        (f"static, coreset {options.budget:,}, exposure gain", options.budget, True),
    )
    for title, rows in protocols.items():
        print(f"\n### {title}\n")
        results = [run(on, rows, backbone, name, budget, options.rate, gain=gain) for name, budget, gain in settings]
        show(results)
        for result in results:
            every.setdefault(result.name, []).append(result)
    print("\n### mean and spread (min to max) over protocols\n")
    print("| setting | AUROC pooled | AUPRO |\n| --- | --- | --- |")
    for name, results in every.items():
        print(f"| {name} | {_spread([r.auroc for r in results])} | {_spread([r.aupro for r in results])} |")
    first = next(iter(every.values()))[0]
    print(f"\nAsked for {options.rate:.1%}; the taught parts support no less than {first.guaranteed:.1%}.")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
