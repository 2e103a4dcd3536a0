"""SimpleNet, a detector: a patch bank, which learns part by part, and a discriminator trained on its patches."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from memory.detector import Arrays, Score
from memory.features import PatchMask, View
from memory.patch_bank.bank import PatchBank, within
from memory.simplenet.network import Discriminator

SIMPLENET = "simplenet"
LAYER = "layer."

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SimpleNet:
    """A detector whose discriminator decides. Its bank is what the discriminator was trained on, and what it will be
    trained on next: a lesson reaches the scores when it has been (`memory.detector.Retrained`).

    `ranks` (2, parts) are the scores of the calibration parts by the discriminator and by the bank, each ascending: a
    bound of one is a bound of the other by its rank.
    """

    bank: PatchBank
    discriminator: Discriminator
    ranks: Scores
    kind: str = field(default=SIMPLENET, init=False)

    @property
    def size(self) -> int:
        """The number of good patches."""
        return self.bank.size

    @property
    def samples(self) -> tuple[str, ...]:
        """The taught parts that patches come from."""
        return self.bank.samples

    def warm_up(self) -> None:
        """Nothing: the discriminator needs no preparation."""

    def score(self, view: View) -> Score:
        """The discriminator's largest value."""
        return self.score_in(view, np.ones(view.features.grid, dtype=bool))

    def score_without(self, view: View, sample: str) -> Score:  # noqa: ARG002  # who calibrates was not taught
        """The score: a trained network cannot leave a part out."""
        return self.score(view)

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The discriminator's largest value of the masked patches (rows, columns)."""
        features = view.features
        values = self.discriminator.values(features.patches) * features.of_map(mask)
        worst = int(values.argmax())
        row, column = divmod(int(features.cells[worst]), features.grid[1])
        words = f"odds of 1 to {np.expm1(float(values[worst])):.3g} that it is a good patch, not noise"
        return Score(float(values[worst]), features.to_map(values), {"at": [row, column], "words": words})

    def by_bank(self, bound: float) -> float:
        """The bank's bound that as many calibration parts exceed as exceed this one."""
        own, banks = self.ranks
        return float(np.interp(bound, own, banks))  # beyond the largest, which no part exceeds, the largest

    def arrays(self) -> Arrays:
        """All its data; the bank's as `within` names them."""
        return {
            **within(self.bank),
            **as_arrays(self.discriminator),
            "ranks": self.ranks,
        }


def as_arrays(discriminator: Discriminator) -> Arrays:
    """A discriminator as arrays, whose names begin with `LAYER`, and the name of the patches that it was trained on."""
    layers = {
        f"{LAYER}{number}.{name}": values
        for number, layer in enumerate(discriminator.layers)
        for name, values in zip(("weight", "bias"), layer, strict=True)
    }
    return {**layers, "trained_on": np.frombuffer(bytes.fromhex(discriminator.trained_on), dtype=np.uint8)}


def of_arrays(arrays: Arrays) -> Discriminator:
    """The discriminator that `as_arrays` wrote. Raises KeyError or ValueError for others."""
    count = sum(name.startswith(LAYER) for name in arrays) // 2
    layers = tuple(
        (arrays[f"{LAYER}{n}.weight"].astype(np.float32), arrays[f"{LAYER}{n}.bias"].astype(np.float32))
        for n in range(count)
    )
    widths = [weight.shape for weight, _ in layers]
    fits = all(before[1] == after[0] for before, after in pairwise(widths))
    if not layers or not fits or widths[-1][1] != 1 or any(bias.shape != weight.shape[1:] for weight, bias in layers):
        raise ValueError(f"layers of {widths}, which do not follow one another to one value")
    if not all(np.isfinite(values).all() for layer in layers for values in layer):
        raise ValueError("a layer that is not finite")
    return Discriminator(layers, arrays["trained_on"].astype(np.uint8).tobytes().hex())
