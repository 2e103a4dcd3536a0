"""The learner of SimpleNet: its bank learns as a patch bank does, its discriminator is retrained on a schedule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from memory.calibration import CalibrationSet
from memory.defects import Defect
from memory.detector import Arrays, Bounds, Capacity, Detector, Extension, GoodPart, Repair
from memory.errors import UnsuitableImages
from memory.features import MOST_PATCHES, View
from memory.patch_bank.bank import PatchBank, as_bank, load_within
from memory.patch_bank.learner import PatchBankLearner
from memory.simplenet.detector import SIMPLENET, SimpleNet, as_arrays, of_arrays
from memory.simplenet.network import Discriminator, named

FAR, MOST_GOOD = 3.0, 0.9  # deviations of every channel; what lies so far off scores above so many good patches


class SimpleNetLearner:
    """The learner of SimpleNet. A lesson extends the bank, within its budget and past its screening; the discriminator
    knows of it once it is trained again."""

    kind = SIMPLENET
    split_calibration = True
    _banks = PatchBankLearner()

    def fit(self, goods: Sequence[GoodPart], capacity: Capacity, seed: int) -> SimpleNet:
        """A bank of the parts, and a discriminator trained on it. Raises UnsuitableImages for images so large that not
        all of their patches are kept: which those are would be chosen by the network that is replaced."""
        for good in goods:
            if good.view.features.large:
                raise UnsuitableImages(
                    expected=f"images of at most {MOST_PATCHES:,} patches",
                    came=f"{good.view.features.whole:,} of {good.sample}",
                    do="set memory.detector: patch-bank, or judge more coarsely (scene)",
                )
        bank = self._banks.fit(goods, capacity, seed)
        return SimpleNet(bank, _trained(bank, seed), np.zeros((2, 1)))

    def finish(
        self,
        detector: Detector,
        calibration_set: CalibrationSet,
        defects: Sequence[Defect],  # noqa: ARG002  # a network that had seen them would prove nothing by finding them
        exceeded_by: Callable[[float], float],  # noqa: ARG002
    ) -> SimpleNet:
        """The detector with the ranks of its calibration parts."""
        own = _simplenet(detector)
        seen = list(zip(calibration_set.samples, calibration_set.features, strict=True))
        scores = [own.score(View(features)).value for _, features in seen]
        by_bank = [own.bank.score_without(View(features), sample).value for sample, features in seen]
        return replace(own, ranks=np.sort(np.array([scores, by_bank], dtype=np.float64), axis=1))

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
        """The bank with what its screening admits; the scores stay until the discriminator is trained again."""
        own = _simplenet(base)
        by_bank = Bounds(own.by_bank(bounds.threshold), own.by_bank(bounds.novelty))
        extension = self._banks.extend(own.bank, goods, defects, by_bank, waiting, capacity, seed)
        return replace(extension, detector=replace(own, bank=as_bank(extension.detector)))

    def repairs(self, detector: Detector, defect: Defect, threshold: float) -> Iterator[Repair]:  # noqa: ARG002
        """None: what a network has learned of a patch cannot be taken out."""
        yield from ()

    def blame(
        self,
        base: Detector,  # noqa: ARG002
        extended: Detector,  # noqa: ARG002
        missed: Sequence[Defect],  # noqa: ARG002
        threshold: float,  # noqa: ARG002
    ) -> frozenset[str]:
        """Nobody: a lesson changes no score, and of a retrained network all patches are the cause."""
        return frozenset()

    def contributors(self, base: Detector, extended: Detector) -> frozenset[str]:
        """The samples of the added patches."""
        return self._banks.contributors(_simplenet(base).bank, _simplenet(extended).bank)

    def load(self, arrays: Arrays, samples: tuple[str, ...]) -> SimpleNet:
        """The detector that was stored."""
        ranks = arrays["ranks"].astype(np.float64)
        if ranks.ndim != 2 or len(ranks) != 2 or ranks.shape[1] < 1:
            raise ValueError(f"ranks of {ranks.shape}, not of two scores for each calibration part")
        return SimpleNet(load_within(arrays, samples), of_arrays(arrays), ranks)

    def outdated(self, detector: Detector) -> bool:
        """Whether the bank is another than the discriminator was trained on."""
        own = _simplenet(detector)
        return named(own.bank.good.vectors) != own.discriminator.trained_on

    def retrain(self, detector: Detector, seed: int) -> Arrays:
        """A discriminator trained on the bank, as arrays."""
        return as_arrays(_trained(_simplenet(detector).bank, seed))

    def with_retrained(self, detector: Detector, arrays: Arrays) -> SimpleNet:
        """The detector with this discriminator. Raises ValueError also for one that is of other features, or does not
        tell good patches from others: where no defect is confirmed, nothing else would notice."""
        own, discriminator = _simplenet(detector), of_arrays(arrays)
        good = own.bank.good.vectors
        if len(discriminator.layers[0][0]) != good.shape[1]:
            raise ValueError(f"a network of {len(discriminator.layers[0][0])} features, not of {good.shape[1]}")
        beside = good + FAR * good.std(axis=0) * np.where(np.arange(good.shape[1]) % 2, 1, -1)
        if np.median(discriminator.values(beside)) <= np.quantile(discriminator.values(good), MOST_GOOD):
            raise ValueError("a network that does not tell good patches from others")
        return replace(own, discriminator=discriminator)


def _trained(bank: PatchBank, seed: int) -> Discriminator:
    from memory.simplenet.training import trained  # torch takes seconds, and who reads a version needs none

    return trained(bank.good.vectors, seed)


def _simplenet(detector: Detector) -> SimpleNet:
    assert isinstance(detector, SimpleNet)  # noqa: S101  # `learner_of` chose this learner by the detector's kind
    return detector
