"""Backends that compute almost as torch does, or wrongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memory.backends import ONNX, Backend
from memory.features import Image, Patches

Change = Callable[[Patches], Patches]


class StandIn:
    """Torch's patches, changed: a library that computes almost, or wrongly."""

    def __init__(self, reference: Backend, change: Change, build: str = "stand-in 1", name: str = ONNX) -> None:
        self.name, self.description = name, build
        self._reference = reference
        self._change = change

    def __call__(self, images: Image) -> Patches:
        return self._change(self._reference(images))


def nearly(patches: Patches) -> Patches:
    """Patches that differ as little as a library's rounding."""
    return patches * np.float32(1.0005)


def noisy(patches: Patches) -> Patches:
    """Patches of which no verdict can be trusted."""
    return patches + np.random.default_rng(0).normal(0, 0.3, patches.shape).astype(np.float32)
