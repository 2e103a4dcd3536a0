"""How a line learns a change: streams through the whole service, where every part that is asked about is answered.

usage: python -m bench.streams [STREAM ...] [--seeds 1] [--wrong 0.1] [--set section.key=value] [--save FILE] [--peers]
    [--short]

The streams of the zoo (six kinds of paper, nineteen days of ball screws) and six rendered lines that change and change
back. Answers are the truth, or with `--wrong` that share of them is not. Beside each stage: what a version finds that
was taught anew from the first half of the stage's good parts, at most fifty, on the other half. With `--peers`, AUROC
beside what others find by the same network, on the other half too. Markdown on stdout.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.lib import arguments, stage_peers
from bench.lib.cases import Case, Shown
from bench.lib.changes import Played, Stream, streams
from bench.lib.taught_lines import BY_TORCH
from bench.zoo import UNKNOWN, figures, judged
from daemon import build
from daemon.datasets.playback import Dataset, Item, play, prepare
from daemon.ledger.records import JudgedFrame
from daemon.ledger.state import open_state
from daemon.settings.load import load
from daemon.settings.logs import log_to
from memory.extract import Extractor
from policies.verdict import Verdict

FRESH = 50  # good parts that a fresh version is taught from, at most
TENS = 10
COLUMNS = (
    "stream | stage | good | false rejects | by tens | bad | found, % | asked | confirmed good | of these refused |"
    " fresh: false rejects, recall, %"
)


@dataclass(frozen=True)
class Outcome:
    """What became of a stream: each part with its verdict and whether it was asked about, the confirmed good parts by
    stage, and those that were set aside."""

    seen: list[tuple[Played, JudgedFrame]]
    refused: frozenset[str]

    def scores(self) -> dict[Path, float]:
        """Each part's score over the threshold in force; a part that was not judged scores highest."""
        return {
            part.path: UNKNOWN if frame.score is None or not frame.threshold else frame.score / frame.threshold
            for part, frame in self.seen
        }


def run(stream: Stream, overrides: Sequence[str], wrong: float, backbone: Extractor, folder: Path) -> Outcome:
    """Play a stream through a service of its own."""
    defaults = [f"state_dir={folder}", f"line={folder.name}", "redis.url=memory://", "policy.asks_per_hour=100000"]
    settings = load(None, [*BY_TORCH, *defaults, *overrides, "source.allowed_roots=['/']"])
    opened = open_state(settings.state_dir)
    service = build.service(settings, opened, backbone, build.redis_streams(settings))
    lies = np.random.default_rng(0).random(len(stream.played)) < wrong
    items = [
        Item(f"{number}", f"p{number}", part.path, "good" if part.good != lie else "defect")
        for number, (part, lie) in enumerate(zip(stream.played, lies.tolist(), strict=True))
    ]
    seen: list[tuple[Played, JudgedFrame]] = []
    prepare(service, Dataset(stream.taught, tuple(items)), opened.store, lambda paths, _: paths)
    service.start()
    play(service, items, lambda item, frame: seen.append((stream.played[int(item.frame_id)], frame)))
    refused = frozenset(sample for version in opened.store.history() for sample in version.refused)
    opened.ledger.close()
    return Outcome(seen, refused)


def rows(stream: Stream, outcome: Outcome, overrides: Sequence[str], backbone: Extractor, folder: Path) -> list[Any]:
    """The figures of each stage."""
    found = []
    for stage in stream.stages:
        here = [(part, frame) for part, frame in outcome.seen if part.stage == stage]
        good, bad = ([frame for part, frame in here if part.good == wanted] for wanted in (True, False))
        rejected = [frame.verdict is not Verdict.OK for frame in good]
        confirmed = [frame.frame_id for frame in good if frame.asked]
        found.append(
            {
                "stage": stage,
                "good": len(good),
                "rejects": sum(rejected),
                "tens": [sum(rejected[i : i + TENS]) for i in range(0, len(rejected), TENS)],
                "bad": len(bad),
                "found": sum(frame.verdict is not Verdict.OK for frame in bad),
                "asked": sum(frame.asked for _, frame in here),
                "confirmed": len(confirmed),
                "refused": len(outcome.refused & set(confirmed)),
                "fresh": fresh(f"{stream.name}-{stage}", [p for p, _ in here], overrides, backbone, folder),
            }
        )
    return found


def fresh(
    name: str, parts: Sequence[Played], overrides: Sequence[str], backbone: Extractor, folder: Path
) -> tuple[float, float] | None:
    """False rejects and recall of a version taught anew from the first good parts, on the others; None with too few."""
    goods, bads = [part for part in parts if part.good], [part for part in parts if not part.good]
    taught = min(len(goods) // 2, FRESH)
    if taught < 2 or not bads:
        return None
    shown = [Shown(part.path, not part.good) for part in (*goods[taught:], *bads)]
    case = Case(f"fresh-{name}", tuple(part.path for part in goods[:taught]), tuple(shown))
    told = figures(judged(case, FRESH, overrides, backbone, folder))
    return float(told["false_rejects"][1]), float(told["recall"][1])


def show(name: str, stages: Sequence[Any]) -> None:
    """The table's lines of a stream, with its sums."""
    for row in stages:
        recall = f"{100 * row['found'] / row['bad']:.0f}" if row["bad"] else ""
        anew = f"{100 * row['fresh'][0]:.0f}, {100 * row['fresh'][1]:.0f}" if row["fresh"] else ""
        print(
            f"| {name} | {row['stage']} | {row['good']} | {row['rejects']} | {' '.join(map(str, row['tens']))} |"
            f" {row['bad']} | {recall} | {row['asked']} | {row['confirmed']} | {row['refused']} | {anew} |"
        )
    total = {key: sum(row[key] for row in stages) for key in ("good", "rejects", "bad", "found", "asked")}
    told = {key: sum(row[key] for row in stages) for key in ("confirmed", "refused")}
    print(
        f"| {name} | all | {total['good']} | {total['rejects']} | | {total['bad']} |"
        f" {100 * total['found'] / total['bad']:.0f} | {total['asked']} | {told['confirmed']} | {told['refused']} | |",
        flush=True,
    )


def show_peers(beside: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    """AUROC by stage beside other learners, with the mean."""
    columns = ("stream", "stage", "Driftline", *stage_peers.PEERS)
    print(f"\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for name, stages in beside.items():
        for stage, areas in stages.items():
            print(f"| {name} | {stage} | {' | '.join(f'{area:.3f}' for area in areas)} |")
    means = np.mean([areas for stages in beside.values() for areas in stages.values()], axis=0)
    print(f"| mean | | {' | '.join(f'{area:.3f}' for area in means)} |")


def main() -> None:
    """All streams, for each seed."""
    parser = arguments.parser(__doc__)
    parser.add_argument("streams", nargs="*", help="names of streams; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="draws of the streams")
    parser.add_argument("--wrong", type=float, default=0.0, help="share of the answers that is wrong")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, as of driftline's commands")
    parser.add_argument("--save", type=Path, help="file to write all figures to, as JSON")
    parser.add_argument("--peers", action="store_true", help="other learners too")
    options = arguments.parse(parser, streams=["fabric-batch"])
    log_to("console", level=logging.ERROR)
    backbone = build.extractor(load(None, [*options.set, "extractor.device=cpu"]))
    saved: dict[str, Any] = {}
    beside: dict[str, dict[int, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="driftline-streams-") as drawn:
        print(f"| {COLUMNS} |\n|{' --- |' * (COLUMNS.count('|') + 1)}", flush=True)
        for seed in options.seeds:
            folder = Path(drawn) / f"{seed}"
            folder.mkdir()
            for stream in streams(folder, options.streams, seed, short=options.short):
                name = f"{stream.name}, seed {seed}"
                outcome = run(stream, options.set, options.wrong, backbone, folder / f"{stream.name}-state")
                saved[name] = rows(stream, outcome, options.set, backbone, folder)
                show(name, saved[name])
                if options.peers:
                    scores = outcome.scores()
                    beside[name] = stage_peers.compare(stream, scores, options.set, backbone, folder)
    if any(beside.values()):
        show_peers(beside)
    if options.save:
        options.save.write_text(json.dumps(saved))


if __name__ == "__main__":
    main()
