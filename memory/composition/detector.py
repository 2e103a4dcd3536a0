"""Composition, a detector: a patch bank and a composition memory, each on the scale of what good parts score by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.composition.memory import CompositionMemory, Surprise
from memory.detector import Arrays, Score
from memory.features import Map, PatchMask, View
from memory.patch_bank.bank import PatchBank

COMPOSITION = "composition"
BANK = "bank."
LOW, HIGH = 0.1, 0.95  # quantiles of taught parts that become 0 and 1
LEAST_SHARE = 0.05  # of HIGH, for the bank: parts that are all alike do not make the next one infinitely odd
LEAST_NATS, LEAST_COUNT = 1.0, 1.0  # the same for layouts and counts


@dataclass(frozen=True)
class Scale:
    """What taught parts score by one memory: `low` becomes 0 and `high` 1; below low is 0, too."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], least: float) -> Scale:
        """The scale of parts that score these values, of at least this spread."""
        low, high = (float(value) for value in np.quantile(values, (LOW, HIGH)))
        return cls(min(low, high - least), high)

    def scaled(self, values: npt.ArrayLike) -> Map:
        """Values on the scale."""
        return np.asarray(np.maximum((np.asarray(values) - self.low) / (self.high - self.low), 0.0), dtype=np.float32)

    def value(self, scaled: float) -> float:
        """The value that becomes `scaled`."""
        return self.low + scaled * (self.high - self.low)


@dataclass(frozen=True, eq=False)
class Composed:
    """A patch bank for what is odd in itself, and a composition memory for what is good but missing, too many or
    elsewhere; `scales` are those of the bank, of the
    counts and of each layout.

    An image's score is the largest of them, each on its scale.
    """

    bank: PatchBank
    composition: CompositionMemory
    scales: tuple[Scale, ...]
    kind: str = field(default=COMPOSITION, init=False)

    @property
    def size(self) -> int:
        """The number of good patches."""
        return self.bank.size

    @property
    def samples(self) -> tuple[str, ...]:
        """The taught parts: those of the bank, then others that only the composition memory holds."""
        own = set(self.bank.samples)
        return (*self.bank.samples, *(name for name in self.composition.samples if name not in own))

    def warm_up(self) -> None:
        """Prepare the bank's index and the tree of words."""
        self.bank.warm_up()
        _ = self.composition.words.groups

    def score(self, view: View) -> Score:
        """The largest of all, each on its scale."""
        return self._scored(self.bank.score(view), self.composition.surprise(view.features), view)

    def score_without(self, view: View, sample: str) -> Score:
        """The score by both memories without this part."""
        surprise = self.composition.surprise(view.features, without=sample)
        return self._scored(self.bank.score_without(view, sample), surprise, view)

    def score_in(self, view: View, mask: PatchMask) -> Score:
        """The score of the masked patches (rows, columns): a count that is off scores where its things lie."""
        return self._scored(self.bank.score_in(view, mask), self.composition.surprise(view.features), view, mask)

    def strangest(self, surprise: Surprise) -> tuple[int, float]:
        """What makes a composition strangest, on the scales: the count (-1) or the layout of a level, and how much."""
        highest = [surprise.count, *(layout.nats.max() for layout in surprise.layouts)]
        scaled = [float(scale.scaled(each)) for scale, each in zip(self.scales[1:], highest, strict=True)]
        return int(np.argmax(scaled)) - 1, max(scaled)

    def arrays(self) -> Arrays:
        """All its data; the bank's arrays begin with `BANK`."""
        place = {name: number for number, name in enumerate(self.samples)}
        return {
            **{BANK + name: array for name, array in self.bank.arrays().items()},
            "bank_samples": np.array([len(self.bank.samples)], dtype=np.int64),
            "parts": np.array([place[name] for name in self.composition.samples], dtype=np.int64),
            "words": self.composition.words.centres,
            "maps": self.composition.maps,
            "counts": self.composition.counts,
            "scales": np.array([(scale.low, scale.high) for scale in self.scales], dtype=np.float64),
        }

    def _scored(self, by_bank: Score, surprise: Surprise, view: View, mask: PatchMask | None = None) -> Score:
        shown = view.features.to_map(np.ones(len(view.features), dtype=bool))
        seen = shown if mask is None else shown & mask
        lying = surprise.things if surprise.things.any() else shown  # of what is missing altogether, everywhere
        by_count = np.where(lying, np.float32(surprise.count), np.float32(0))
        values = (by_bank.map, by_count, *(layout.nats for layout in surprise.layouts))
        maps = [
            np.where(seen, scale.scaled(each), np.float32(0)) for scale, each in zip(self.scales, values, strict=True)
        ]
        whole = np.max(maps, axis=0)
        decided = int(np.argmax([each.max() for each in maps]))
        evidence = by_bank.evidence if decided == 0 else self._evidence(surprise, maps[decided], decided)
        return Score(float(whole.max()), whole, evidence)

    def _evidence(self, surprise: Surprise, decisive: Map, decided: int) -> Mapping[str, Any]:
        """Where the count or layout that decided is most anomalous, a taught part to compare it with, and words."""
        cell = int(decisive.argmax())
        row, column = divmod(cell, decisive.shape[1])
        if decided == 1:
            sample, place = self.composition.example(surprise.group)
            words = f"expected {surprise.expected:.2g} things like this one of a taught part, found {surprise.found}"
            return {"at": [row, column], "sample": sample, "place": place, "words": words}
        layout, parts = surprise.layouts[decided - 2], surprise.parts
        has, lacks = int(layout.has[row, column]), int(layout.lacks[row, column])
        words = (
            f"{lacks} of {parts} taught parts have there what this one lacks"
            if lacks > parts - has  # the rarer of the two is told
            else f"{has} of {parts} taught parts have near there what this one has"
        )
        return {"at": [row, column], "sample": self.composition.samples[-1], "place": cell, "words": words}
