"""The learner of composition: teaches both memories, adds confirmed parts to both, and loads them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from memory.calibration import CalibrationSet
from memory.composition.detector import COMPOSITION, HIGH, LEAST_COUNT, LEAST_NATS, LEAST_SHARE, Composed, Scale
from memory.composition.memory import CompositionMemory, Surprise, counted_alike, laid_alike, remembered, suitable
from memory.composition.words import LEVELS, Words, learned
from memory.defects import Defect
from memory.detector import Arrays, Bounds, Capacity, Detector, Extension, GoodPart, Repair
from memory.on_demand import OnDemand
from memory.patch_bank.bank import as_bank, load_within
from memory.patch_bank.learner import PatchBankLearner

MOST_SCALED = 64  # parts that scales are made from
MOST_PARTS = 512  # whose composition is remembered


class CompositionLearner:
    """The learner of composition: what the patch bank's learner does, and each confirmed part's composition.

    A part that is composed in a new way waits for a second one that is composed alike.
    """

    kind = COMPOSITION
    split_calibration = False
    _banks = PatchBankLearner()

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> Composed:
        """Both memories of the parts, and the scales of what they score by one another. Raises UnsuitableParts."""
        grid = goods[0].view.features.grid
        parts = OnDemand(range(len(goods)), lambda i: suitable(goods[i], grid))
        composition = remembered(goods[-MOST_PARTS:], learned(parts, seed))
        bank = self._banks.fit(goods, capacity, seed)
        some = [goods[i] for i in np.unique(np.linspace(0, len(goods) - 1, MOST_SCALED).astype(int))]
        surprises = [composition.surprise(good.view.features, without=good.sample) for good in some]
        by_bank = [bank.score_without(good.view, good.sample).value for good in some]
        return Composed(
            bank,
            composition,
            scales=(
                Scale.of(by_bank, max(LEAST_SHARE * float(np.quantile(by_bank, HIGH)), 1e-6)),
                Scale.of([float(each.away.max()) for each in surprises], LEAST_COUNT),
                *(
                    Scale.of([float(each.layouts[level].nats.max()) for each in surprises], LEAST_NATS)
                    for level in range(len(LEVELS))
                ),
            ),
        )

    def finish(
        self,
        detector: Detector,
        calibration_set: CalibrationSet,
        defects: Sequence[Defect],
        exceeded_by: Callable[[float], float],
    ) -> Composed:
        """The bank with its defect memory, as the patch bank's learner makes it."""
        composed = _composed(detector)

        def exceeded(share: float) -> float:
            return composed.scales[0].value(exceeded_by(share))

        return replace(composed, bank=self._banks.finish(composed.bank, calibration_set, defects, exceeded))

    def extend(
        self,
        base: Detector,
        goods: Sequence[GoodPart],
        defects: Sequence[Defect],
        bounds: Bounds,
        waiting: Collection[str],
        capacity: Capacity,
        seed: int,
    ) -> Extension:
        """Both memories with the confirmed parts; scales stay, for they are those of the taught parts."""
        composed, scale = _composed(base), _composed(base).scales[0]
        memory = composed.composition
        by_bank = Bounds(scale.value(bounds.threshold), scale.value(bounds.novelty))
        extension = self._banks.extend(composed.bank, goods, defects, by_bank, waiting, capacity, seed)
        held = {*extension.waiting, *extension.refused}
        fresh = [good for good in goods if good.sample not in memory.samples and good.sample not in held]
        surprises = {good.sample: memory.surprise(good.view.features) for good in fresh}
        new = [good for good in fresh if max(composed.strange(surprises[good.sample])) > bounds.novelty]
        shown = {good.sample: [surprises[other.sample] for other in new if other.thing != good.thing] for good in new}
        alone = [
            sample
            for sample, others in shown.items()
            if not _seconded(composed, surprises[sample], others, bounds.novelty)
        ]
        full = len(memory.samples) >= MOST_PARTS  # then what is usual is known
        learning = [good for good in (new if full else fresh) if good.sample not in alone]
        grown = memory.with_parts(learning).bounded(MOST_PARTS) if learning else memory
        return Extension(
            replace(composed, bank=as_bank(extension.detector), composition=grown),
            extension.learned or bool(learning),
            (*extension.waiting, *alone),
            extension.refused,
        )

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:
        """The repairs of the bank, each beside the same composition memory, which cannot un-learn."""
        composed = _composed(detector)
        for repair in self._banks.repairs(composed.bank, defect, composed.scales[0].value(threshold)):
            yield replace(repair, detector=replace(composed, bank=as_bank(repair.detector)))

    def blame(self, base: Detector, extended: Detector, missed: Sequence[Defect], threshold: float) -> frozenset[str]:
        """Those that the bank's learner blames; or else, where a composition alone told a defect before, all new
        compositions: each makes what is rare less so."""
        before, after = _composed(base), _composed(extended)
        by_bank = self._banks.blame(before.bank, after.bank, missed, before.scales[0].value(threshold))
        told = any(before.score_in(defect.view, defect.mask).value > threshold for defect in missed)
        return by_bank or (_new_compositions(before, after) if told else frozenset())

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:
        """The samples of the added patches and compositions."""
        before, after = _composed(base), _composed(extended)
        return self._banks.contributors(before.bank, after.bank) | _new_compositions(before, after)

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> Composed:
        """The detector that was stored."""
        words = Words(arrays["words"].astype(np.float32))
        maps, counts = arrays["maps"].astype(np.int16), arrays["counts"].astype(np.int32)
        if arrays["scales"].shape != (2 + len(LEVELS), 2) or arrays["parts"].max(initial=-1) >= len(samples):
            raise ValueError(f"scales of {arrays['scales'].shape}, or parts that have no name")
        names = tuple(samples[int(number)] for number in arrays["parts"])
        if maps.ndim != 3 or len(maps) != len(names) or counts.shape != (len(names), len(words.groups)):
            raise ValueError(f"maps of {maps.shape} and counts of {counts.shape} for {len(names)} parts")
        return Composed(
            load_within(arrays, samples[: int(arrays["bank_samples"][0])]),
            CompositionMemory(words, names, maps, counts),
            tuple(Scale(float(low), float(high)) for low, high in arrays["scales"]),
        )


def _seconded(composed: Composed, one: Surprise, others: Sequence[Surprise], novelty: float) -> bool:
    """Whether for all that is new of a part one of the `others` shows the same."""
    counts, *layouts = (strange > novelty for strange in composed.strange(one))
    least = composed.scales[1].value(novelty)
    return (not counts or any(counted_alike(one, other, least) for other in others)) and all(
        any(laid_alike(one, other, level) for other in others) for level, new in enumerate(layouts) if new
    )


def _new_compositions(before: Composed, after: Composed) -> frozenset[str]:
    return frozenset(after.composition.samples) - frozenset(before.composition.samples)


def _composed(detector: Detector) -> Composed:
    assert isinstance(detector, Composed)  # noqa: S101  # `learner_of` chose this learner by the detector's kind
    return detector
