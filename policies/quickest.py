"""Which of several backends is to judge: the quickest, or a more exact one that is nearly as quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memory.backends import BFLOAT16, INT8, OPENVINO, TORCH

EXACTEST_FIRST = (TORCH, OPENVINO, BFLOAT16, INT8)
NEARLY = 1.1  # times the quickest's time: less than that no line would notice


@dataclass(frozen=True)
class Choice:
    """How a backend was chosen: the `ms` that a part took by each, and why quicker ones than the chosen were
    `refused`, by their names."""

    ms: Mapping[str, float]
    refused: Mapping[str, str]


def order(ms: Mapping[str, float]) -> tuple[str, ...]:
    """The names of backends in the order in which they are to be asked for a certificate, by the `ms` that each takes:
    each time the quickest of those that are left, or the most exact that takes `NEARLY` as little."""
    left, ordered = dict(ms), []
    while left:
        least = min(left.values())
        chosen = min((name for name in left if left[name] <= least * NEARLY), key=EXACTEST_FIRST.index)
        ordered.append(chosen)
        del left[chosen]
    return tuple(ordered)
