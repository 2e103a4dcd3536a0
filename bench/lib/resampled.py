"""What a threshold promises, asked of lines drawn anew from the scores of one line's good parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.threshold import calibrate

LINES = 1_000
POPULATION = 100_000
SILVERMAN = 1.06  # times spread and n ** -0.2 is the bandwidth


def kept_promises(scores: Sequence[float], count: int, rate: float) -> tuple[float, float]:
    """The false-reject rate at the threshold that `count` parts give for this `rate`, as a mean of `LINES` lines, and
    the share of these on which it is within what the threshold promises.

    Lines are drawn by smoothed bootstrap from the logarithms of the good parts' `scores` (Silverman and Young, "The
    bootstrap: to smooth or not to smooth?", 1987): without smoothing, a score would come several times on most lines.
    """
    rng = np.random.default_rng(0)
    logs = np.log(np.maximum(scores, 1e-9))
    spread = min(logs.std(), np.subtract(*np.percentile(logs, [75, 25])) / 1.34)
    width = SILVERMAN * spread * len(logs) ** -0.2
    population = np.sort(rng.choice(logs, POPULATION) + width * rng.normal(size=POPULATION))
    realised, within = [], 0
    for _ in range(LINES):
        threshold = calibrate(np.exp(rng.choice(population, count, replace=False)).tolist(), rate)
        above = 1 - np.searchsorted(population, np.log(threshold.value), side="right") / POPULATION
        realised.append(above)
        within += above <= threshold.confident_rate
    return float(np.mean(realised)), within / LINES
