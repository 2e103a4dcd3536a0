"""How well defects are found on many real parts: the zoo, the tiles as taught, and five rendered lines.

usage: python -m bench.zoo [SET ...] [--taught 60] [--set section.key=value] [--save FILE] [--against FILE] [--peers]
    [--short]

Each set is taught from at most so many of its good parts and judged as `driftline teach` and `score` do; nothing is
chosen on what is judged. `--save` writes all scores; `--against` compares with those of another commit, with an
interval by paired bootstrap. `--peers` has anomalib's detectors judge the same images by the same weights, those of a
timm network. Markdown on stdout.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from bench.lib import arguments, by_anomalib
from bench.lib.cases import Case, cases
from bench.lib.resampled import kept_promises
from bench.lib.taught_lines import TaughtLine, taught_line
from daemon import build
from daemon.evaluation.metrics import aupro, auroc, average_precision
from daemon.inference.common_light import judge_in_common_light
from daemon.intake.decode import ImageRejected
from daemon.settings.load import load
from daemon.settings.logs import log_to
from memory.extract import Extractor

RATES = (0.01, 0.02, 0.05)
MAP_PX = 256
PEERS = ("PatchCore", "PaDiM", "MHPatchcore")
UNKNOWN = 1e9  # the score of an image that is not judged
DRAWS, INTERVAL = 2_000, (2.5, 97.5)
COLUMNS = (
    "set | taught | AUROC | AP | AUPRO | false rejects at 1, 2, 5 %, % | recall at 1, 2, 5 %, % |"
    " recall at a true 2 %, % | 2 % on 1,000 lines, %: realised, within | teach, s | a frame, ms"
)

Row = dict[str, Any]


def judged(case: Case, most: int, overrides: Sequence[str], backbone: Extractor, folder: Path) -> Row:
    """The scores of a set, and what they are compared with."""
    with taught_line(case.taught[:most], overrides, backbone, folder / f"{case.name}-{most}") as line:
        return _judged_by(line, case)


def _judged_by(line: TaughtLine, case: Case) -> Row:
    engine, taught = line.engine, line.taught
    scores, maps, masks = [], [], []
    judge_in_common_light(engine, case.shown, lambda shown: engine.decode(shown.path.read_bytes()))
    started = time.perf_counter()
    for shown in case.shown:
        try:
            found = engine.score_image(engine.decode(shown.path.read_bytes()), line.active)
        except ImageRejected:  # UNKNOWN: nobody lets it pass
            scores.append(UNKNOWN)
            continue
        scores.append(found.score.value)
        maps.append(cv2.resize(found.anomaly, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR))
        masks.append(shown.marked(MAP_PX, MAP_PX))
    frame_ms = 1000 * (time.perf_counter() - started) / len(case.shown)
    known = all(mask is not None for mask in masks)
    return {
        "taught": len(taught.version.added),
        "scores": scores,
        "bad": [shown.bad for shown in case.shown],
        "calibration": list(taught.threshold.scores),
        "ranked": taught.taught_set.ranked,
        "unlike": taught.taught_set.unlike,
        "thresholds": [taught.threshold.at(rate) for rate in RATES],
        "aupro": aupro(maps, [mask for mask in masks if mask is not None]) if known else None,
        "teach_s": line.teach_s,
        "frame_ms": frame_ms,
    }


def figures(row: Row) -> Row:
    """The figures of a set's scores."""
    values, bad = np.array(row["scores"]), np.array(row["bad"])
    above = values[:, None] > np.array(row["thresholds"])  # (n, rates)
    allowed = np.sort(values[~bad])[max(0, int(0.98 * (~bad).sum() + 0.999) - 1)]
    return {
        "auroc": auroc(values, bad),
        "ap": average_precision(values, bad),
        "false_rejects": above[~bad].mean(axis=0),
        "recall": above[bad].mean(axis=0),
        "recall_true": float((values[bad] > allowed).mean()),
    }


def beside(rows: Sequence[Row]) -> str:
    """AUROC, recall and false rejects of several ways to judge a set, as cells of a table."""
    areas = ", ".join(f"{row['auroc']:.3f}" for row in rows)
    recall, rejects = (", ".join(f"{100 * row[key][1]:.0f}" for row in rows) for key in ("recall", "false_rejects"))
    return f"{areas} | {recall} | {rejects}"


def promised(row: Row) -> Row:
    """What lines drawn anew from a set's good parts make of the threshold's promise."""
    values, bad = np.array(row["scores"]), np.array(row["bad"])
    known = np.concatenate([row["calibration"], values[~bad & (values < UNKNOWN)]])
    realised, within = kept_promises(known, len(row["calibration"]), RATES[1])
    return {"realised": realised, "within": within}


def show(rows: Mapping[str, Row]) -> None:
    """The table of all sets, with the mean."""
    print(f"| {COLUMNS} |\n|{' --- |' * (COLUMNS.count('|') + 1)}")
    every = {name: figures(row) | promised(row) for name, row in rows.items()}
    for name, row in rows.items():
        found = every[name]
        pro = "" if row["aupro"] is None else f"{row['aupro']:.3f}"
        print(
            f"| {name} | {row['taught']} | {found['auroc']:.3f} | {found['ap']:.3f} | {pro} |"
            f" {_percents(found['false_rejects'])} | {_percents(found['recall'])} | {100 * found['recall_true']:.0f} |"
            f" {100 * found['realised']:.1f}, {100 * found['within']:.0f} |"
            f" {row['teach_s']:.1f} | {row['frame_ms']:.0f} |"
        )
    mean = {name: np.mean([found[name] for found in every.values()], axis=0) for name in next(iter(every.values()))}
    print(
        f"| mean | | {mean['auroc']:.3f} | {mean['ap']:.3f} | | {_percents(mean['false_rejects'])} |"
        f" {_percents(mean['recall'])} | {100 * mean['recall_true']:.0f} |"
        f" {100 * mean['realised']:.1f}, {100 * mean['within']:.0f} | | |"
    )


def compare(before: Mapping[str, Row], now: Mapping[str, Row]) -> None:
    """AUROC of both, set by set, with an interval of the difference by paired bootstrap over the parts (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13)."""
    print("\n| set | AUROC before | now | difference, 95 % | recall at 2 % before | now |\n|" + " --- |" * 6)
    means = []
    for name in [name for name in now if name in before]:
        old, new, bad = np.array(before[name]["scores"]), np.array(now[name]["scores"]), np.array(now[name]["bad"])
        drawn = _differences(old, new, bad, np.random.default_rng(0))
        low, high = np.percentile(drawn, INTERVAL)
        was, found = figures(before[name]), figures(now[name])
        means.append(drawn)
        print(
            f"| {name} | {was['auroc']:.3f} | {found['auroc']:.3f} | {found['auroc'] - was['auroc']:+.3f}"
            f" ({low:+.3f} to {high:+.3f}) | {100 * was['recall'][1]:.0f} | {100 * found['recall'][1]:.0f} |"
        )
    low, high = np.percentile(np.mean(means, axis=0), INTERVAL)
    print(f"| mean | | | {np.mean(means):+.3f} ({low:+.3f} to {high:+.3f}) | | |")


def _differences(
    old: npt.NDArray[np.float64], new: npt.NDArray[np.float64], bad: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    goods, bads = np.flatnonzero(~bad), np.flatnonzero(bad)
    differences = []
    for _ in range(DRAWS):
        drawn = np.concatenate([rng.choice(goods, len(goods)), rng.choice(bads, len(bads))])
        differences.append(auroc(new[drawn], bad[drawn]) - auroc(old[drawn], bad[drawn]))
    return np.array(differences)


def beside_peers(
    every: Sequence[Case], most: int, overrides: Sequence[str], rows: Mapping[str, Row], folder: Path
) -> None:
    """AUROC beside anomalib's detectors, set by set and on the mean. Raises SystemExit where they fail."""
    as_taught = [replace(case, taught=tuple(sorted(case.taught[:most]))) for case in every]
    peers = by_anomalib.scores(as_taught, PEERS, overrides, folder)
    print(f"\n| set | Driftline | {' | '.join(peers)} |\n|{' --- |' * (len(peers) + 2)}")
    means = []
    for name, row in rows.items():
        bad = np.array(row["bad"])
        found = [auroc(np.array(scores), bad) for scores in (row["scores"], *(peer[name] for peer in peers.values()))]
        means.append(found)
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in found)} |")
    print(f"| mean | {' | '.join(f'{value:.3f}' for value in np.mean(means, axis=0))} |")


def _percents(shares: npt.NDArray[np.float64]) -> str:
    return ", ".join(f"{100 * share:.0f}" for share in shares)


def main() -> None:
    """All sets, for each number of taught parts."""
    parser = arguments.parser(__doc__)
    parser.add_argument("sets", nargs="*", help="names of sets; all by default")
    parser.add_argument("--taught", type=int, nargs="+", default=[60], help="good parts to teach at most")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, as of driftline's commands")
    parser.add_argument("--save", type=Path, help="file to write all scores to, as JSON")
    parser.add_argument("--against", type=Path, help="such a file of another commit, taught from as many parts")
    parser.add_argument("--peers", action="store_true", help="anomalib's detectors too")
    options = arguments.parse(parser, taught=[4], set=["extractor.input_px=128"])
    log_to("console", level=logging.WARNING)
    backbone = build.extractor(load(None, [*options.set, "extractor.device=cpu"]))
    saved: dict[str, dict[str, Row]] = {}
    with tempfile.TemporaryDirectory(prefix="driftline-zoo-") as folder:
        every = list(cases(Path(folder), options.sets, short=options.short))
        for most in options.taught:
            print(f"\n### at most {most} taught\n", flush=True)
            saved[str(most)] = {case.name: judged(case, most, options.set, backbone, Path(folder)) for case in every}
            show(saved[str(most)])
            if options.against:
                compare(json.loads(options.against.read_text())[str(most)], saved[str(most)])
            if options.peers:
                beside_peers(every, most, options.set, saved[str(most)], Path(folder))
    if options.save:
        options.save.write_text(json.dumps(saved))


if __name__ == "__main__":
    main()
