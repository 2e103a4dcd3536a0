"""Driftline's part of bench/speed.py, in a process of its own: JPEG bytes in, verdict and 256² map out.

usage: python -m bench.lib.speed_ours FOLDER BACKEND RESULT.json; FOLDER holds the task (bench/lib/speed_protocol.py).
"""

from __future__ import annotations

import memory  # noqa: F401  # as in the service: before any numeric library

# isort: split

import json
import sys
from pathlib import Path

import cv2

from bench.lib.bank import bank_of
from bench.lib.protocol import MAX_PIXELS
from bench.lib.speed_protocol import MAP_PX, extractor, read, timed
from daemon.intake.decode import decode
from drift.monitor import CALM
from memory.backends import compiled
from memory.features import Features, View
from memory.runtime import use_threads
from policies.threshold import calibrate
from policies.verdict import decide


def main() -> None:
    """Score the images."""
    folder, backend, result = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    task, vectors = read(folder)
    use_threads(2)
    extract, threshold, by_bank = extractor(task.backbone), calibrate([1.0], 0.5), []
    if backend != "torch":
        taught = [decode(Path(path).read_bytes(), extract.input_px, MAX_PIXELS) for path in task.taught]
        shape = (extract.input_px, extract.input_px)
        extract = extract.on(compiled(backend, lambda: extract.network, shape, 2, folder / backend, lambda: taught))

    def score(data: bytes) -> float:
        scored = bank.score(View(extract(decode(data, extract.input_px, MAX_PIXELS))))
        cv2.resize(scored.map, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR)
        decide(scored.value, threshold, CALM)
        return scored.value

    for size in task.sizes:
        bank = bank_of([("bank", Features(vectors[:size], (1, size)))])
        bank.warm_up()
        by_bank.append(timed(task.images, score))
    result.write_text(json.dumps(by_bank))


if __name__ == "__main__":
    main()
