"""Our detectors beside anomalib's of the same methods, by the same weights, on the same parts, with speed and memory.

usage: python -m bench.methods [SET ...] [--taught 60] [--set section.key=value] [--short]

Tiles, KolektorSDD and bsdata_time by default (`bench.zoo` has them all), with the weights of driftline[lite]. Driftline
judges one light and keeps each set's own shape, anomalib squeezes to a square; frames come one by one. The short form
judges rendered parts by Driftline alone. Markdown on stdout.
"""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.lib import arguments, by_anomalib
from bench.lib.cases import Case, cases
from bench.lib.material import TILES_SEED
from bench.zoo import judged
from daemon import build
from daemon.evaluation.metrics import auroc
from daemon.settings.load import load
from daemon.settings.logs import log_to
from memory.detector import PATCH_BANK
from memory.padim.detector import PADIM
from memory.simplenet.detector import SIMPLENET

SETS = [f"tiles-{TILES_SEED}", "ksdd", "bsdata_time"]
LITE = ["extractor.model=tf_efficientnet_lite0", "extractor.weights=installed"]
METHODS = {PATCH_BANK: "PatchCore", PADIM: "PaDiM", SIMPLENET: "SuperSimpleNet"}  # ours, and anomalib's
COLUMNS = "method | AUROC: " + "{} | teach, s | a frame, ms | memory, MB |"


def ours(kind: str, options: Any, name: str) -> dict[str, dict[str, Any]]:
    """What our detector of a kind makes of each set, in a process of its own, whose memory is its own."""
    command = [sys.executable, "-m", "bench.methods", *options.sets, "--kind", kind, "--taught", str(options.taught)]
    command += [word for each in options.set for word in ("--set", each)] + ["--short"] * options.short
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def of_kind(kind: str, every: Sequence[Case], options: Any, folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of `ours`, in this process."""
    overrides = [*options.set, f"memory.detector={kind}"]
    backbone = build.extractor(load(None, [*overrides, "extractor.device=cpu"]))
    found = {}
    for case in every:
        row = judged(case, options.taught, overrides, backbone, folder)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found[case.name] = {"scores": row["scores"], "fit_s": row["teach_s"], "frame_ms": row["frame_ms"]}
        found[case.name]["peak_mb"] = peak_mb
    return found


def rows(every: Sequence[Case], options: Any, folder: Path) -> Iterator[str]:
    """A row for each of our detectors, and of anomalib's."""
    bad = {case.name: np.array([shown.bad for shown in case.shown]) for case in every}
    as_taught = [replace(case, taught=tuple(sorted(case.taught[: options.taught]))) for case in every]
    for kind, method in METHODS.items():
        yield _row(f"{kind}, ours", ours(kind, options, kind), bad)
        if not options.short:
            yield _row(f"{method}, anomalib's", by_anomalib.rows(as_taught, [method], options.set, folder)[method], bad)


def _row(name: str, found: dict[str, dict[str, Any]], bad: dict[str, Any]) -> str:
    areas = ", ".join(f"{auroc(row['scores'], bad[each]):.3f}" for each, row in found.items())
    took = " | ".join(", ".join(f"{row[key]:.0f}" for row in found.values()) for key in ("fit_s", "frame_ms"))
    return f"| {name} | {areas} | {took} | {max(row['peak_mb'] for row in found.values()):.0f} |"


def main() -> None:
    """Print the table, or the rows of one `--kind` as JSON."""
    parser = arguments.parser(__doc__)
    parser.add_argument("sets", nargs="*", default=SETS, help="names of sets")
    parser.add_argument("--taught", type=int, default=60, help="parts to teach at most")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, as of driftline's commands")
    parser.add_argument("--kind", help="of ours alone, as JSON")
    options = arguments.parse(parser, sets=["fabric"], taught=4, set=["extractor.input_px=128"])
    options.set = options.set if options.short else options.set or LITE
    log_to("console", level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="driftline-methods-") as folder:
        every = list(cases(Path(folder), options.sets, short=options.short))
        if options.kind:
            print(json.dumps(of_kind(options.kind, every, options, Path(folder))))
            return
        columns = COLUMNS.format(", ".join(case.name for case in every))
        print(f"| {columns}\n|{' --- |' * (columns.count('|'))}")
        for row in rows(every, options, Path(folder)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
