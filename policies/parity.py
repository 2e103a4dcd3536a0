"""Parity: an accelerated backend may judge only if it gives calibration parts and defects the reference's verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from drift.reference import Reference
from drift.signals import material, material_coordinates
from memory.features import Features, View
from memory.version import Model
from policies.threshold import Threshold, leave_one_out_scores, threshold_of_scores

TOLERANCE = 0.03
SHIFT = 0.5
FeatureLookup = Callable[[str], Features | None]


@dataclass(frozen=True)
class Parity:
    """The comparison of a backend's scores with the reference's, on a version's calibration parts and confirmed
    defects.

    `worst` is the largest difference of a score, as a share of the threshold, or of the score where that is larger, and
    `worst_at` whose; `shift` is how far the mean material of good parts moves, in the reference's spreads. `differing`
    are judged otherwise, the images of `gone` are not kept any more. Its own `threshold` is that of its own scores of
    the same calibration parts, so the false-reject rate is promised as before.
    """

    parts: int
    defects: int
    worst: float
    worst_at: str
    shift: float
    differing: tuple[str, ...]
    gone: tuple[str, ...]
    threshold: Threshold | None

    @property
    def refusal(self) -> str | None:
        """Why the backend may not judge, with the figures; None where it may."""
        if self.gone:
            return f"{_few(self.gone)} cannot be looked at again: the image is gone"
        if self.differing:
            return f"{_few(self.differing)} would be judged otherwise (scores differ by {self.worst:.1%} at most)"
        if self.worst > TOLERANCE:
            return f"the score of {self.worst_at} differs by {self.worst:.1%} of the threshold, {TOLERANCE:.0%} allowed"
        if self.shift > SHIFT:
            return f"material would look {self.shift:.1f} spreads off, {SHIFT:g} allowed"
        return None

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON for the ledger."""
        return asdict(self) | {"threshold": self.threshold.to_json() if self.threshold else None}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Parity:
        """The comparison that `to_json` wrote."""
        names = {name: tuple(record[name]) for name in ("differing", "gone")}
        threshold = Threshold.of(record["threshold"]) if record["threshold"] else None
        return cls(**{**record, **names, "threshold": threshold})


def compare(model: Model, look_up: FeatureLookup) -> Parity:
    """Compare the scores of every calibration part and every confirmed defect by a backend's features, which `look_up`
    gives by sample, with those by the reference's, which the version holds. One image's features are in memory at a
    time.

    A calibration part is scored as if it had not been taught, a defect in its region alone, each under the threshold of
    its backend, and of every regime that has one.
    """
    snapshot, then = model.snapshot, Threshold.of(model.version.threshold)
    detector, calibration_set, defects = snapshot.detector, snapshot.calibration_set, snapshot.confirmed_defects.defects
    reference = Reference.of(snapshot.reference)
    goods = dict(zip(calibration_set.samples, leave_one_out_scores(detector, calibration_set), strict=True))
    in_masks = {d.sample: detector.score_in(d.view, d.mask).value for d in defects}
    again: dict[str, float] = {}
    shifts = []
    for sample, features in zip(calibration_set.samples, calibration_set.features, strict=True):
        seen = look_up(sample)
        if seen is not None:
            again[sample] = detector.score_without(View(seen, reference=features), sample).value
            # Of a large image, only the patches on the lattice are the same in what is kept and in the whole.
            alike = [one.thinned(np.zeros(len(one), dtype=bool)) for one in (features, seen)]
            both = [material_coordinates(material(one), reference.axes) for one in alike]
            shifts.append((both[1] - both[0]) / reference.spread[-len(both[0]) :])
    for defect in defects:
        seen = look_up(defect.sample)
        if seen is not None:
            again[defect.sample] = detector.score_in(View(seen), defect.mask).value
    gone = tuple(sample for sample in (*goods, *in_masks) if sample not in again)
    parity = Parity(len(goods), len(in_masks), 0.0, "", 0.0, (), gone, None)
    if gone:
        return parity
    now = threshold_of_scores(calibration_set, [again[s] for s in goods], [again[s] for s in in_masks], then.rate)
    regimes = sorted({*then.per_regime, *now.per_regime})
    everywhere = [(then, now), *((then.for_regime(r), now.for_regime(r)) for r in regimes)]
    parts = zip(calibration_set.samples, calibration_set.regimes, strict=True)
    judged_by = {sample: [(then.for_regime(regime), now.for_regime(regime))] for sample, regime in parts}
    scores = goods | in_masks
    apart = {s: abs(again[s] / now.value - v / then.value) / max(1.0, v / then.value) for s, v in scores.items()}
    worst = max(apart, key=apart.__getitem__)
    return replace(
        parity,
        worst=apart[worst],
        worst_at=worst,
        shift=float(np.abs(np.mean(shifts, axis=0)).max()),
        differing=tuple(
            s
            for s, score in scores.items()
            if any((score > one.value) != (again[s] > other.value) for one, other in judged_by.get(s, everywhere))
        ),
        threshold=now,
    )


def _few(samples: tuple[str, ...]) -> str:
    return ", ".join(samples[:3]) + (f" and {len(samples) - 3} more" if len(samples) > 3 else "")
