"""Composition, a detector: a patch bank and a composition memory, each on the scale of what good parts score by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.composition.memory import CompositionMemory, Surprise
from memory.detector import Arrays, Score
from memory.features import Map, PatchMask, View
from memory.patch_bank.bank import PatchBank, within

COMPOSITION = "composition"
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
        return cls(max(min(low, high - least), 0.0), max(high, least))

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
        """Prepare both memories."""
        self.bank.warm_up()
        self.composition.warm_up()

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

    def strange(self, surprise: Surprise) -> list[float]:
        """How strange a composition is on the scales: by its counts, then by the layout of each level."""
        highest = [surprise.away.max(), *(layout.nats.max() for layout in surprise.layouts)]
        return [float(scale.scaled(each)) for scale, each in zip(self.scales[1:], highest, strict=True)]

    def arrays(self) -> Arrays:
        """All its data; the bank's as `within` names them."""
        place = {name: number for number, name in enumerate(self.samples)}
        return {
            **within(self.bank),
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
        values = (by_bank.map, surprise.count, *(layout.nats for layout in surprise.layouts))
        maps = [
            np.where(seen, scale.scaled(each), np.float32(0)) for scale, each in zip(self.scales, values, strict=True)
        ]
        whole = np.max(maps, axis=0)
        decided = int(np.argmax([each.max() for each in maps]))
        evidence = by_bank.evidence if decided == 0 else self._evidence(surprise, maps[decided], decided)
        return Score(float(whole.max()), whole, evidence)

    def _evidence(self, surprise: Surprise, decisive: Map, decided: int) -> Mapping[str, Any]:
        """Where the count or layout that decided is most anomalous, and why, in words."""
        row, column = divmod(int(decisive.argmax()), decisive.shape[1])
        if decided == 1:
            group = int(surprise.away.argmax())
            sample, place = self.composition.example(group)
            there = divmod(place, decisive.shape[1])
            words = (
                f"expected {surprise.expected[group]:.2g} things like that at {there} of {Path(sample).name},"
                f" found {surprise.found[group]}"
            )
            return {"at": [row, column], "words": words}
        layout, parts = surprise.layouts[decided - 2], surprise.parts
        has, lacks = int(layout.has[row, column]), int(layout.lacks[row, column])
        words = (
            f"{lacks} of {parts} taught parts have there what this one lacks"
            if lacks > parts - has  # the rarer of the two is told
            else f"{has} of {parts} taught parts have near there what this one has"
        )
        return {"at": [row, column], "words": words}
