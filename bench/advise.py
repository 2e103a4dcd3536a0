"""Whether `driftline advise` picks a detector that is as good as the best, from good parts alone.

usage: python -m bench.advise [SET ...] [--taught 60] [--short]

On each set it advises from at most so many good parts, on which it draws defects; then each detector is taught the same
parts and judges the set's real ones. Markdown on stdout.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from bench.lib import arguments
from bench.lib.cases import Case, cases
from bench.lib.material import TINY, backbone
from bench.lib.taught_lines import untracked
from daemon.datasets.labelled import DataSet, LabelledImage, Split
from daemon.evaluation import advice
from daemon.evaluation.judged import judge
from daemon.evaluation.metrics import auroc
from daemon.settings.load import Settings, load
from daemon.settings.logs import log_to
from memory.composition.detector import COMPOSITION
from memory.detector import PATCH_BANK
from memory.errors import DriftlineError
from memory.extract import Extractor
from memory.padim.detector import PADIM
from memory.simplenet.detector import SIMPLENET

DETECTORS = (PATCH_BANK, PADIM, COMPOSITION, SIMPLENET)
WITHIN = 0.01  # AUROC
COLUMNS = "set | taught | advised, s | AUROC on drawn defects | on real ones | advised | within a point of the best"


def real(case: Case, taught: list[Path], detector: str, settings: Settings, looks: Extractor, folder: Path) -> float:
    """AUROC on a set's real parts of a detector that was taught; 0 where it cannot be."""
    images = [LabelledImage(path, Split.TRAIN) for path in taught]
    images += [LabelledImage(one.path, Split.TEST, "bad" if one.bad else "good") for one in case.shown]
    memory = settings.memory.model_copy(update={"detector": detector})
    own = settings.model_copy(update={"memory": memory, "state_dir": folder})
    try:
        found = judge(DataSet(tuple(images)), own, looks, folder, untracked)
    except DriftlineError:
        return 0.0
    scores = np.array([one.score for one in found.images])
    return auroc(scores, np.array([one.image.defective for one in found.images]))


def row(case: Case, most: int, settings: Settings, looks: Extractor, folder: Path, *, short: bool) -> tuple[str, bool]:
    """A row of the table, and whether the advice was as good as the best."""
    taught = sorted(case.taught[:most])
    started = time.perf_counter()
    folder.mkdir()
    best, tried = advice.advise(taught, [], settings, looks, folder, untracked)
    took_s = time.perf_counter() - started
    judging = (best.detector,) if short else DETECTORS
    found = {kind: real(case, taught, kind, settings, looks, folder / f"real-{kind}") for kind in judging}
    good = found[best.detector] >= max(found.values()) - WITHIN
    drawn = [candidate.drawn_auroc for candidate, _ in tried.values()]
    on_drawn = ", ".join("refused" if value is None else f"{value:.3f}" for value in drawn)
    on_real = ", ".join(f"{value:.3f}" for value in found.values())
    text = f"| {case.name} | {len(taught)} | {took_s:.0f} | {on_drawn} | {on_real} | {best.detector} |"
    return f"{text} {'yes' if good else 'no'} |", good


def main() -> None:
    """Print the table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help="sets to judge; default: all")
    parser.add_argument("--taught", type=int, default=60, help="good parts to advise from at most")
    options = arguments.parse(parser, taught=advice.LEAST_PARTS, sets=["fabric"])
    log_to("console", level=40)
    few = ["memory.bank_patches=500"] if options.short else []
    looks, settings, right = backbone(TINY), load(None, ["extractor.device=cpu", *few]), []
    print(f"AUROC by {', '.join(DETECTORS)}\n\n| {COLUMNS} |\n|{' --- |' * (COLUMNS.count('|') + 1)}")
    with tempfile.TemporaryDirectory() as name:
        for case in cases(Path(name), options.sets, short=options.short, few=advice.LEAST_PARTS):
            try:
                text, good = row(
                    case, options.taught, settings, looks, Path(name) / f"advise-{case.name}", short=options.short
                )
            except DriftlineError as error:
                text, good = f"| {case.name} | {len(case.taught)} | {error} | | | | no |", False
            print(text, flush=True)
            right.append(good)
    print(f"\nwithin a point of the best: {sum(right)} of {len(right)}")


if __name__ == "__main__":
    main()
