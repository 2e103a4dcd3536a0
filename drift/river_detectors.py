"""river's detectors behind one wrapper: the only module that imports river.

They compare a stream with its own past, so they see changes too small for the chart's margin, and miss slow ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drift.chart import CLIP
from drift.signals import SIGNALS, Vector

ADWIN = {"delta": 0.002, "clock": 8}  # river's defaults, but it tests every 8 frames instead of 32
KINDS = ("ADWIN", "KSWIN", "PageHinkley")


class RiverDetectors:
    """One of river's detectors for every signal.

    river's `drift_detected` is true for one update only, and so is the answer here: callers must remember it.
    """

    def __init__(self, kind: str, **parameters: Any) -> None:
        from river import drift as detectors  # takes a second: commands without a monitor must not wait

        if kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}; came {kind!r}; name one of them")
        self._detectors = [getattr(detectors, kind)(**parameters) for _ in SIGNALS]

    def update(self, z: Vector) -> npt.NDArray[np.bool_]:
        """Take in a frame's signals z (S,), clipped to ±`CLIP`. Returns which changed (S,)."""
        for detector, value in zip(self._detectors, np.clip(z, -CLIP, CLIP).tolist(), strict=True):
            detector.update(value)
        return np.array([d.drift_detected for d in self._detectors])
