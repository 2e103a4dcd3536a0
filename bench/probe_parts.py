"""Whether drawn defects are caught on every set: a probe part that passes must mean that the line does not inspect.

usage: python -m bench.probe_parts [SET ...] [--taught 60] [--short]

The zoo, the tiles and rendered lines; a defect is drawn on each good part that is judged and passed. Markdown on
stdout.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from bench.lib import arguments
from bench.lib.cases import Case, cases
from bench.lib.material import TINY, backbone
from bench.lib.taught_lines import TaughtLine, taught_line
from daemon.inference.common_light import judge_in_common_light
from daemon.inference.probe_part import with_defect
from daemon.intake.decode import ImageRejected
from daemon.intake.onto_canvas import Decoded
from daemon.settings.logs import log_to


def caught(line: TaughtLine, case: Case) -> list[float]:
    """The scores of the passed good parts with a drawn defect, each over the threshold; infinite where UNKNOWN."""
    engine, active, shares = line.engine, line.active, []
    judge_in_common_light(engine, case.shown, lambda shown: engine.decode(shown.path.read_bytes()))
    for number, shown in enumerate(each for each in case.shown if not each.bad):
        try:
            seen = engine.decode(shown.path.read_bytes())
            if engine.score_image(seen, active).score.value > active.threshold.value:
                continue
        except ImageRejected:
            continue
        drawn = with_defect(seen.image, active.sight.canvas.inside, np.random.default_rng(number))
        try:
            score = engine.score_image(Decoded(b"", drawn, seen.geometry), active).score.value
        except ImageRejected:
            score = np.inf
        shares.append(score / active.threshold.value)
    return shares


def main() -> None:
    """Print the table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help="sets to judge; default: all")
    parser.add_argument("--taught", type=int, default=60, help="good parts to teach at most")
    options = arguments.parse(parser, taught=8)
    log_to("console", level=40)
    looks, every = backbone(TINY), []
    print("| set | passed good parts | with a drawn defect caught | smallest score, of the threshold |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for case in cases(Path(name), options.sets, short=options.short):
            with taught_line(case.taught[: options.taught], [], looks, Path(name) / f"line-{case.name}") as line:
                shares = caught(line, case)
            every += shares
            row = f"| {case.name} | {len(shares)} | {sum(share > 1 for share in shares)} "
            print(f"{row}| {min(shares, default=np.nan):.2f} |", flush=True)
    print(f"| all | {len(every)} | {sum(share > 1 for share in every)} | {min(every, default=np.nan):.2f} |")


if __name__ == "__main__":
    main()
