"""What defects among the taught parts do, whether they are told, and what leaving them out brings back.

usage: python -m bench.contaminated [SET ...] [--share 0.05 0.1 0.2] [--taught 60] [--set section.key=value] [--short]

The sets of bench/zoo.py. So many of the parts to teach are replaced by bad ones, which are then not judged. Somebody
looks at the oddest third of what was taught and leaves out what is bad there. Markdown on stdout.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.lib import arguments
from bench.lib.cases import Case, cases
from bench.zoo import beside, figures, judged
from daemon import build
from daemon.settings.load import load
from daemon.settings.logs import log_to
from memory.extract import Extractor

LOOKED_AT = 1 / 3
SEED = 3
COLUMNS = (
    "set | bad of taught | told unlike, bad | bad in the oddest third | AUROC without them, with, left out |"
    " recall at 2 %, % | false rejects, %"
)


def contaminated(case: Case, share: float, most: int) -> tuple[Case, Case, tuple[str, ...]]:
    """The set with its good parts alone, and with a share of bad ones among them; both judge the same other parts. The
    names of the bad ones that are taught."""
    rng = np.random.default_rng(SEED)
    taught = case.taught[:most]
    bad = [shown for shown in case.shown if shown.bad]
    count = min(round(share * len(taught)), len(bad) // 2)
    drawn = {bad[i].path for i in rng.permutation(len(bad))[:count]}
    shown = tuple(each for each in case.shown if each.path not in drawn)
    kept = tuple(taught[i] for i in sorted(rng.permutation(len(taught))[count:]))
    clean = Case(f"{case.name}-clean", kept, shown)
    return clean, Case(f"{case.name}-bad", (*kept, *sorted(drawn)), shown), tuple(str(path) for path in drawn)


def main() -> None:
    """All sets, for each share of bad parts."""
    parser = arguments.parser(__doc__)
    parser.add_argument("sets", nargs="*", help="names of sets; all by default")
    parser.add_argument("--share", type=float, nargs="+", default=[0.05, 0.1, 0.2], help="of the taught parts are bad")
    parser.add_argument("--taught", type=int, default=60, help="parts to teach at most")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, as of driftline's commands")
    options = arguments.parse(parser, taught=4, share=[0.25], set=["extractor.input_px=128"])
    log_to("console", level=logging.WARNING)
    backbone = build.extractor(load(None, [*options.set, "extractor.device=cpu"]))
    with tempfile.TemporaryDirectory(prefix="driftline-contaminated-") as folder:
        every = list(cases(Path(folder), options.sets, short=options.short))
        for share in options.share:
            print(f"\n### {share:.0%} of the taught parts are bad\n\n| {COLUMNS} |\n|{' --- |' * 7}", flush=True)
            below = Path(folder) / f"{share}"
            table = [show(case, share, options.taught, options.set, backbone, below) for case in every]
            before, within, after = np.mean(table, axis=0)
            print(f"| mean | | | | {before:.3f}, {within:.3f}, {after:.3f} | | |")


def show(
    case: Case, share: float, most: int, overrides: Sequence[str], backbone: Extractor, folder: Path
) -> tuple[float, float, float]:
    """One line of the table; returns AUROC taught clean, with bad parts, and after those that were found were left
    out."""
    clean, mixed, bad = contaminated(case, share, most)
    first = judged(clean, most, overrides, backbone, folder)
    second = judged(mixed, most, overrides, backbone, folder)
    ranked = [name for name, _ in second["ranked"]]
    looked = set(ranked[: max(1, round(LOOKED_AT * len(ranked)))])
    found = looked & set(bad)
    third = judged(
        replace(mixed, name=f"{case.name}-left-out", taught=tuple(p for p in mixed.taught if str(p) not in found)),
        most,
        overrides,
        backbone,
        folder,
    )
    unlike = set(second["unlike"])
    rows = [figures(row) for row in (first, second, third)]
    told = f"{len(unlike)}, {len(unlike & set(bad))}"
    taught = f"{len(bad)} of {len(mixed.taught)}"
    print(f"| {case.name} | {taught} | {told} | {len(found)} | {beside(rows)} |", flush=True)
    return rows[0]["auroc"], rows[1]["auroc"], rows[2]["auroc"]


if __name__ == "__main__":
    main()
