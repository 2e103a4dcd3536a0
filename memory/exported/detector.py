"""The detector of an exported model: the model's own values, by a threshold from good parts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from memory.detector import Arrays, Score
from memory.features import Features, PatchMask, View

EXPORTED = "exported"
UNIT = np.float32(2**-10)  # of the value among features: drift, which looks at all of them, hardly sees it
CHANNELS = 2  # a float16 of so small a unit loses small values: the second holds what the first leaves


@dataclass(frozen=True, eq=False)
class Exported:
    """A detector that scores what an exported model says, which are the last values of every patch (`as_features`).

    It holds nothing of the taught parts, so a score without one is the score.
    """

    kind: str = field(default=EXPORTED, init=False)
    size: int = field(default=0, init=False)
    samples: tuple[str, ...] = field(default=(), init=False)

    def warm_up(self) -> None:
        """Nothing: the model was tried when it was opened."""

    def score(self, view: View) -> Score:
        """The largest value."""
        return _scored(view.features, _values(view.features))

    def score_without(self, view: View, sample: str) -> Score:  # noqa: ARG002  # it holds nothing of it
        """The score."""
        return self.score(view)

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The largest value of the masked patches (rows, columns)."""
        return _scored(view.features, _values(view.features) * view.features.of_map(mask))

    def arrays(self) -> Arrays:
        """None: the version names the model in its extractor's fingerprint."""
        return {}


def as_features(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values (N, P) of 0 or more as two features each (N, P, 2), exact in float16 and as exact as both together can be.
    Beyond 6e7 they are infinite."""
    with np.errstate(over="ignore"):
        coarse = (values * UNIT).astype(np.float16).astype(np.float32)
    rest = np.where(np.isfinite(coarse), values - coarse / UNIT, 0)
    return np.stack([coarse, rest.astype(np.float16).astype(np.float32)], axis=2)


def _values(features: Features) -> npt.NDArray[np.float32]:
    coarse, rest = features.patches[:, -CHANNELS], features.patches[:, -1]
    return np.asarray(np.maximum(coarse / UNIT + rest, 0), dtype=np.float32)


def _scored(features: Features, values: npt.NDArray[np.float32]) -> Score:
    anomaly = features.to_map(values)
    worst = int(values.argmax())
    row, column = divmod(int(features.cells[worst]), features.grid[1])
    return Score(float(values[worst]), anomaly, {"at": [row, column], "words": "as the exported model says"})
