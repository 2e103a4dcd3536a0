"""The patch bank, a detector: the distance of every patch to its nearest good one (PatchCore)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.detector import PATCH_BANK, Arrays, Detector, Score
from memory.distances import Vectors
from memory.features import MOST_PATCHES, Features, PatchMask, View
from memory.patch_bank.defect_memory import DefectMemory
from memory.patch_bank.good_patches import GoodPatches
from memory.patch_bank.neighbours import NeighbourCache, PatchScores, rows_of_others

RECHECKED = 2
WITHIN = "bank."
TOLD_FROM = 1.01  # times that the defect memory raises a score: less is rounding


@dataclass(frozen=True, eq=False)
class PatchBank:
    """A detector made of good patches and a memory of confirmed defects.

    A score is PatchCore's largest distance of a patch to its nearest good one (Roth et al., "Towards Total Recall in
    Industrial Anomaly Detection", CVPR 2022, equation 6, no reweighting) over the image's scale, so that a part of
    coarser material or in other light is not anomalous all over. The scale is kept within the range of taught parts, so
    that a part which is anomalous as a whole still scores high. The exact nearest neighbour decides, because an
    approximate one inflates the maximum.
    """

    neighbours: NeighbourCache = field(repr=False)
    defect_memory: DefectMemory
    kind: str = field(default=PATCH_BANK, init=False)

    @classmethod
    def of(cls, good: GoodPatches) -> PatchBank:
        """A bank of good patches that knows no defect."""
        return cls(NeighbourCache(good), DefectMemory(good.vectors[:0]))

    @property
    def good(self) -> GoodPatches:
        """The good patches."""
        return self.neighbours.good

    @property
    def size(self) -> int:
        """The number of good patches."""
        return len(self.good)

    @property
    def samples(self) -> tuple[str, ...]:
        """The taught parts that patches come from."""
        return self.good.samples

    def warm_up(self) -> None:
        """Prepare the index, so that the first image does not wait for it."""
        self.good.index.warm_up()

    def score(self, view: View) -> Score:
        """The normalised distances, amplified where the image is like a confirmed defect.

        All patches are searched by an inverted file, whose distances are never too small; then again exactly, from the
        most anomalous on, until the maximum is exact. So the value is that of an exact search, and the map elsewhere is
        at most a little too high.
        """
        return self._scored(self._exact_at_most(view.features, amplified=True))

    def score_without(self, view: View, sample: str) -> Score:
        """The score by the patches of all other samples; by all patches where there is no other sample."""
        if len(view.features) > MOST_PATCHES:
            return self._scored(
                self._exact_at_most(view.features, amplified=True, without=sample, reference=view.reference)
            )
        scores = self.neighbours.score(view.features, without=sample, reference=view.reference)
        return self._scored(self._amplified(scores))

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The score of the masked patches (rows, columns) alone, without the defect memory: that it knows this very
        defect proves nothing for the next of its kind."""
        # A mask of everything is asked of images that are about to be learned: they are not to be followed for ever.
        everywhere = bool(mask.all())
        return self._scored(self.normalised_distance(view.features) if everywhere else self.masked(view.features, mask))

    def masked(self, features: Features, mask: PatchMask) -> PatchScores:
        """Normalised distances of the masked patches (rows, columns), without the defect memory; cached."""
        return self.neighbours.score(features, mask=mask)

    def normalised_distance(self, features: Features) -> PatchScores:
        """Normalised distances of an image, without the defect memory; not cached."""
        if len(features) > MOST_PATCHES:
            return self._exact_at_most(features, amplified=False)
        distance, nearest = self.good.index.search_flat(features.patches)
        scale = self.good.scale(features)
        return PatchScores(features, _normalised(distance, scale), nearest, scale)

    def _exact_at_most(
        self, features: Features, *, amplified: bool, without: str | None = None, reference: Features | None = None
    ) -> PatchScores:
        """Normalised distances to the patches of all samples but `without`, exact where they are largest."""
        rows = rows_of_others(self.good, without)
        index, scale = self.good.index_of(rows), self.good.scale(features, reference)
        distance, nearest = index.search_ivf(features.patches)
        exact = np.zeros(len(distance), dtype=bool)
        while True:
            scores = PatchScores(features, _normalised(distance, scale), rows[nearest], scale)
            scores = self._amplified(scores) if amplified else scores
            worst = np.argsort(-scores.distance, kind="stable")
            if exact[worst[0]]:
                return scores
            again = worst[:RECHECKED][~exact[worst[:RECHECKED]]]
            distance[again], nearest[again] = index.search_flat(features.patches[again], candidates=2)
            exact[again] = True

    def with_good(self, good: GoodPatches) -> PatchBank:
        """A bank of other good patches that reuses this one's neighbours. Its defect memory is empty until it is
        finished: how like a defect a patch is depends on what is good."""
        return PatchBank(self.neighbours.rebased(good), DefectMemory(good.vectors[:0]))

    def arrays(self) -> Arrays:
        """The arrays of the bank; vectors as float16, which represents features exactly."""
        good, memory = self.good, self.defect_memory
        return {
            "vectors": good.vectors.astype(np.float16),
            "origin": good.sample_index,
            "place": good.patch_index,
            "use": good.usage_count,
            "landmarks": good.landmarks.astype(np.float16),
            "levels": np.array([*good.scale_range, good.scale_exponent], dtype=np.float64),
            "shown": memory.vectors.astype(np.float16),
            "raising": np.array([memory.min_distance, memory.max_good_likeness], dtype=np.float64),
        }

    def _amplified(self, scores: PatchScores) -> PatchScores:
        raised = self.defect_memory.amplify(scores.features.patches, scores.distance, scores.scale)
        return replace(scores, distance=raised)

    def _scored(self, scores: PatchScores) -> Score:
        return Score(scores.value, scores.map, self._evidence(scores))

    def _evidence(self, scores: PatchScores) -> Mapping[str, Any]:
        """The most anomalous place, (row, column) of the grid, the good patch nearest to it, and how its score is made
        of their distance, in words."""
        worst = int(scores.distance.argmax())
        row = int(scores.nearest[worst])
        if row < 0:  # no patch was scored
            return {}
        return {
            "at": [int(i) for i in np.unravel_index(scores.features.cells[worst], scores.features.grid)],
            "sample": self.good.sample_of(row),
            "place": int(self.good.patch_index[row]),
            "words": self._words(scores, worst, row),
        }

    def _words(self, scores: PatchScores, worst: int, row: int) -> str:
        distance = float(np.linalg.norm(scores.features.patches[worst] - self.good.vectors[row]))
        times = distance / scores.scale
        words = (
            f"{distance:.3g} from the nearest good patch, {times:.3g} times what is usual in such an image"
            f" ({scores.scale:.3g})"
        )
        raised = scores.value / max(times, 1e-9)
        return words if raised < TOLD_FROM else f"{words}; raised {raised:.2f} times: it is like a confirmed defect"


def load(arrays: Arrays, samples: tuple[str, ...]) -> PatchBank:
    """The bank that `PatchBank.arrays` wrote, also by an older format. Raises KeyError or ValueError for others."""
    rows = len(arrays["origin"])
    vectors = arrays["vectors"].astype(np.float32)
    levels = arrays.get("levels", np.ones(2))  # before format 3 scores were plain distances
    smallest, largest, exponent = (float(level) for level in (levels if len(levels) == 3 else (*levels, 1)))
    good = GoodPatches(
        vectors=vectors,
        sample_index=arrays["origin"],
        samples=samples,
        patch_index=arrays.get("place", np.full(rows, -1, dtype=np.int32)),  # format 1 had none
        usage_count=arrays.get("use", np.zeros(rows, dtype=np.int32)),
        landmarks=arrays.get("landmarks", vectors[:0]).astype(np.float32),
        scale_range=(smallest, largest),
        scale_exponent=exponent,
    )
    remembered = arrays.get("shown", vectors[:0]).astype(np.float32)
    return PatchBank(NeighbourCache(good), DefectMemory(remembered, *map(float, arrays.get("raising", ()))))


def as_bank(detector: Detector) -> PatchBank:
    """A detector that a patch bank's learner made or was chosen for."""
    assert isinstance(detector, PatchBank)  # noqa: S101  # `learner_of` chose this learner by the detector's kind
    return detector


def within(bank: PatchBank) -> Arrays:
    """A bank's arrays among those of a detector that has one: their names begin with `WITHIN`."""
    return {WITHIN + name: array for name, array in bank.arrays().items()}


def load_within(arrays: Arrays, samples: tuple[str, ...]) -> PatchBank:
    """The bank among the arrays of a detector that has one (`within`). Raises as `load`."""
    return load(
        {name.removeprefix(WITHIN): array for name, array in arrays.items() if name.startswith(WITHIN)}, samples
    )


def _normalised(distance: Vectors, scale: float) -> Vectors:
    normalised: npt.NDArray[np.float32] = distance / np.float32(scale)
    return normalised
