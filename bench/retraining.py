"""What training a detector again costs the frames that are judged meanwhile, and how long it takes.

usage: python -m bench.retraining [--rounds 5] [--frames 400] [--rate 10] [--taught 60] [--short]

A line of kind `simplenet`, taught rendered parts, judges them at a steady rate, from their bytes to their scores: a
round alone, and a round while the process of `daemon.learning.trainer` trains, again and again, standing still while a
frame is judged, as in the service. Markdown on stdout.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.lib import arguments
from bench.lib.cases import cases
from bench.lib.material import SHORT_PX, TINY, backbone
from bench.lib.taught_lines import TaughtLine, taught_line
from daemon.learning.training import Training
from daemon.settings.logs import log_to

LINE = "castings"


def judged_ms(line: TaughtLine, files: Sequence[bytes], count: int, rate: float, process: Training) -> list[float]:
    """How long each of so many frames takes, from when it is taken up."""
    took_ms = []
    began_s = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began_s + number / rate - time.perf_counter()))
        started = time.perf_counter()
        with process.paused():
            line.engine.score_image(line.engine.decode(files[number % len(files)]), line.active)
        took_ms.append((time.perf_counter() - started) * 1000)
    return took_ms


@contextmanager
def trains(line: TaughtLine, process: Training, took_s: list[float]) -> Iterator[None]:
    """Trains meanwhile; the time of each training that was not ended goes to `took_s`."""
    ended = threading.Event()

    def again() -> None:
        while not ended.is_set():
            began_s = time.perf_counter()
            if process.run(line.engine.settings.state_dir, 1, 0, ended) is not None:
                took_s.append(time.perf_counter() - began_s)

    with ThreadPoolExecutor(1) as other:
        trained = other.submit(again)
        try:
            yield
        finally:
            ended.set()
        trained.result()  # raises where a training failed


def main() -> None:
    """Print the table."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alone, and with training")
    parser.add_argument("--frames", type=int, default=400, help="in each round")
    parser.add_argument("--rate", type=float, default=10, help="frames a second")
    parser.add_argument("--taught", type=int, default=60, help="good parts to teach at most")
    options = arguments.parse(parser, rounds=1, frames=20, taught=4)
    log_to("console", level=40)
    looks = backbone(TINY.model_copy(update={"input_px": SHORT_PX}) if options.short else TINY)
    alone_ms, beside_ms, took_s = [], [], list[float]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (case,) = cases(folder, [LINE], short=False) if not options.short else list(cases(folder, [], short=True))[:1]
        files = [shown.path.read_bytes() for shown in case.shown]
        kind = ["memory.detector=simplenet", f"extractor.input_px={looks.input_px}"]
        with taught_line(case.taught[: options.taught], kind, looks, folder / "line") as line:
            process, rate = Training(), options.rate
            judged_ms(line, files, 20, rate, process)
            for _ in range(options.rounds):
                alone_ms.append(judged_ms(line, files, options.frames, rate, process))
                with trains(line, process, took_s):
                    beside_ms.append(judged_ms(line, files, options.frames, rate, process))
    print("| a frame | alone, ms: median, p99 | while it trains | times |\n| --- | --- | --- | --- |")
    both = [np.percentile(rounds, (50, 99), axis=1) for rounds in (alone_ms, beside_ms)]  # (2, rounds) each
    for number, (before, after) in enumerate(zip(*(each.T for each in both), strict=True), start=1):
        times = " and ".join(f"{now / then:.2f}" for then, now in zip(before, after, strict=True))
        print(f"| round {number} | {before[0]:.1f}, {before[1]:.1f} | {after[0]:.1f}, {after[1]:.1f} | {times} |")
    whole = [np.percentile(np.concatenate(rounds), (50, 99)) for rounds in (alone_ms, beside_ms)]
    times = " and ".join(f"{now / then:.2f}" for then, now in zip(*whole, strict=True))
    cells = " | ".join(f"{median:.1f}, {p99:.1f}" for median, p99 in whole)
    print(f"| all | {cells} | {times} |")
    ended = f"{statistics.median(took_s):.0f} s in the median" if took_s else "none ended within a round"
    print(f"\n{len(took_s)} trainings, {ended}")


if __name__ == "__main__":
    main()
