"""The detector of an exported model: the model's own values, by a threshold from good parts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from memory.detector import Arrays, Score
from memory.features import Features, PatchMask, View

EXPORTED = "exported"
UNIT = np.float32(2**-10)  # of the value among features: drift, which looks at all of them, hardly sees it


@dataclass(frozen=True, eq=False)
class Exported:
    """A detector that scores what an exported model says, which is the last value of every patch.

    It holds nothing of the taught parts, so a score without one is the score.
    """

    kind: str = field(default=EXPORTED, init=False)
    size: int = field(default=0, init=False)
    samples: tuple[str, ...] = field(default=(), init=False)

    def warm_up(self) -> None:
        """Nothing: the model was tried when it was opened."""

    def score(self, view: View) -> Score:
        """The largest value."""
        return _scored(view.features, view.features.patches[:, -1] / UNIT)

    def score_without(self, view: View, sample: str) -> Score:  # noqa: ARG002  # it holds nothing of it
        """The score."""
        return self.score(view)

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The largest value of the masked patches (rows, columns)."""
        return _scored(view.features, view.features.patches[:, -1] / UNIT * view.features.of_map(mask))

    def arrays(self) -> Arrays:
        """None: the version names the model in its extractor's fingerprint."""
        return {}


def _scored(features: Features, values: npt.NDArray[np.float32]) -> Score:
    anomaly = features.to_map(values)
    worst = int(values.argmax())
    row, column = divmod(int(features.cells[worst]), features.grid[1])
    return Score(float(values[worst]), anomaly, {"at": [row, column], "words": "as the exported model says"})
