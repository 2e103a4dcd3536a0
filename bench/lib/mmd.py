"""alibi-detect's online MMD over streams of signals; run by bench/lib/peers.py in an environment of its own.

usage: .venv-peers/bin/python -m bench.lib.mmd TASK.npz RESULT.npz BEFORE RUN_LENGTH
"""

from __future__ import annotations

import sys

import numpy as np
from alibi_detect.cd import MMDDriftOnline


def statistics(detector: MMDDriftOnline, z: np.ndarray) -> np.ndarray:
    """The test statistic after each frame of a stream z (n, S), from a fresh start."""
    detector.reset_state()
    return np.array([detector.predict(row)["data"]["test_stat"] for row in z.astype(np.float32)])


def alarms(statistic: np.ndarray, limit: float, window: int) -> int:
    """How often the statistic rises above a limit; what follows within a window is the same alarm."""
    high = np.flatnonzero(statistic > limit)
    return int((np.diff(high, prepend=-window - 1) > window).sum())


def main() -> None:
    """Every window: calibrated as alibi-detect does, then by good parts; then all streams."""
    task = np.load(sys.argv[1])
    before, run_length = int(sys.argv[3]), int(sys.argv[4])
    ends = np.cumsum(task["lengths"])[:-1]
    result: dict[str, object] = {}
    for window in task["windows"].tolist():
        detector = MMDDriftOnline(
            task["taught"].astype(np.float32),
            ert=run_length / 10,  # a tenth: its bootstrap for all of it would take a hundred thousand draws
            window_size=window,
            backend="pytorch",
            n_bootstraps=run_length,
            device="cpu",
            verbose=False,
        )
        calm = statistics(detector, task["good"])
        declared = len(calm) / max(alarms(calm, float(detector.thresholds[-1]), window), 1)
        allowed = len(calm) // run_length
        limits = np.sort(calm)[::-1]
        limit = next(v for v in reversed(limits[: 40 * window]) if alarms(calm, v, window) <= allowed)
        delays = []
        for stream in np.split(task["streams"], ends):
            high = np.flatnonzero(statistics(detector, stream)[before:] > limit)
            delays.append(high[0] + 1 if len(high) else -1)
        result |= {f"declared {window}": declared, f"delays {window}": np.array(delays)}
    np.savez(sys.argv[2], **result)


if __name__ == "__main__":
    main()
