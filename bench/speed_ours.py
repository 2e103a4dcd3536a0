"""Driftline's part of bench/speed.py, in a process of its own: JPEG bytes in, verdict and 256² map out.

usage: python bench/speed_ours.py GIVEN.npz RESULT.json; GIVEN holds the backbone's name, the bank and the images.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import memory  # noqa: F401, I001  # as in the service: before any numeric library

import cv2
import numpy as np
import torch

from bench.speed_protocol import MAP_PX, WARM, backbone, images, peak_mib
from daemon.frames import decode
from drift.monitor import CALM
from memory.bank import gather
from memory.processor import keep_freed_memory
from memory.search import search_with
from policies.threshold import calibrate
from policies.verdict import decide


def main() -> None:
    """Score every image once the first `WARM` have been."""
    with np.load(sys.argv[1]) as held:
        name, vectors = str(held["backbone"]), held["vectors"]
    search_with(2)
    torch.set_num_threads(2)
    keep_freed_memory()
    extract, bank, threshold = backbone(name), gather([("bank", vectors)]), calibrate([1.0], 0.5)
    took, scores = [], []
    for data in images():
        started = time.perf_counter()
        score = bank.score(extract(decode(data, extract.input_px, 10**8)))
        cv2.resize(score.map, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR)
        decide(score.value, threshold, CALM)
        took.append(1000 * (time.perf_counter() - started))
        scores.append(score.value)
    Path(sys.argv[2]).write_text(json.dumps({"ms": took[WARM:], "scores": scores, "rss_mib": peak_mib()}))


if __name__ == "__main__":
    main()
