"""Driftline's part of bench/speed.py, in a process of its own: JPEG bytes in, verdict and 256² map out.

usage: python bench/speed_ours.py GIVEN.npz BACKEND RESULT.json; GIVEN holds the backbone's name and the banks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import memory  # noqa: F401, I001  # as in the service: before any numeric library

import cv2
import numpy as np
import torch

from bench.protocol import load, shots
from bench.speed_protocol import MAP_PX, backbone, timed
from daemon.intake.decode import decode
from drift.monitor import CALM
from memory.backends import compiled
from memory.bank import gather
from memory.runtime import keep_freed_memory
from memory.search import search_with
from policies.threshold import calibrate
from policies.verdict import decide


def main() -> None:
    """Score the images."""
    with np.load(sys.argv[1]) as held:
        name, vectors, sizes = str(held["backbone"]), held["vectors"], held["sizes"].tolist()
    search_with(2)
    torch.set_num_threads(2)
    keep_freed_memory()
    extract, threshold, told = backbone(name), calibrate([1.0], 0.5), []
    if sys.argv[2] != "torch":
        taught = [load(s) for s in shots() if s.role == "setup"]
        kept = Path(sys.argv[1]).with_name(sys.argv[2])
        extract = extract.on(compiled(sys.argv[2], extract.network, extract.input_px, 2, kept, taught))

    def score(data: bytes) -> float:
        found = bank.score(extract(decode(data, extract.input_px, 10**8)))
        cv2.resize(found.map, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR)
        decide(found.value, threshold, CALM)
        return found.value

    for size in sizes:
        bank = gather([("bank", vectors[:size])])
        bank.warm_up()
        told.append(timed(score))
    Path(sys.argv[3]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
