"""The discriminator of SimpleNet: how much more a patch looks like noise than like a good patch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.features import Patches

Weights = npt.NDArray[np.float32]
Values = npt.NDArray[np.float32]

SLOPE = 0.2  # of LeakyReLU, as Liu et al.


@dataclass(frozen=True, eq=False)
class Discriminator:
    """A network that was trained on good patches: affine layers (in, out) and (out,) with LeakyReLU between them, the
    first of which whitens too; `trained_on` names those patches (`named`)."""

    layers: tuple[tuple[Weights, Weights], ...]
    trained_on: str

    def values(self, patches: Patches) -> Values:
        """The anomaly (n,) of patches (n, D): the log of 1 plus the odds that it is noise; 0 or more."""
        seen = patches.astype(np.float64)  # in float32, the last bits of a patch would depend on how many there are
        for number, (weight, bias) in enumerate(self.layers):
            if number > 0:
                seen = np.maximum(seen, SLOPE * seen)
            seen = seen @ weight + bias
        return np.asarray(np.logaddexp(0, -seen[:, 0]), dtype=np.float32)  # (n, 1) -> (n,)


def named(good: Patches) -> str:
    """A name of good patches (n, D) that other ones do not have."""
    return hashlib.sha256(good.astype(np.float16).tobytes()).hexdigest()
