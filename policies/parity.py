"""May a quicker backend judge in the reference's place: only if it says the same of all that proves the version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from drift.reference import Reference
from drift.signals import material, material_coordinates
from memory.contrasts import NeighbourCache
from memory.features import Features
from memory.version import Model
from policies.threshold import Threshold, leave_one_out_scores, threshold_of

TOLERANCE = 0.03
SHIFT = 0.5
Look = Callable[[str], Features | None]


@dataclass(frozen=True)
class Parity:
    """How a backend's scores compare with the reference's, by the images that prove a version.

    `worst` is the largest difference of a score, as a share of the threshold, or of the score where that is larger, and
    `worst_at` whose; `shift` is how far the mean material of good parts moves, in the reference's spreads. `differing`
    are judged otherwise, the images of `gone` could not be looked at again. Its own `threshold` is that of its own
    scores of the same calibration parts, so the false-reject rate is promised as before.
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
        """As the ledger holds it."""
        return asdict(self) | {"threshold": self.threshold.to_json() if self.threshold else None}

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Parity:
        """As the ledger held it."""
        names = {name: tuple(held[name]) for name in ("differing", "gone")}
        threshold = Threshold.of(held["threshold"]) if held["threshold"] else None
        return cls(**{**held, **names, "threshold": threshold})


def compare(model: Model, look: Look) -> Parity:
    """Score every calibration part and every confirmed defect by the features that a backend `look`s up for it, beside
    the reference's own, which the version holds. One image's features are held at a time.

    A calibration part is scored without its own patches, a defect in its region alone, each under the threshold of its
    backend, and of every regime that has one.
    """
    contents, then = model.snapshot, Threshold.of(model.version.threshold)
    bank, held_out, defects = contents.bank, contents.calibration_set, contents.confirmed_defects.defects
    reference = Reference.of(contents.reference)
    goods = {
        s: f.value for s, f in zip(held_out.samples, leave_one_out_scores(contents.contrasts, held_out), strict=True)
    }
    shown = {d.sample: contents.contrasts.score(d.features, region=d.mask).value for d in defects}
    found: dict[str, float] = {}
    shifts = []
    for sample, features in zip(held_out.samples, held_out.features, strict=True):
        seen = look(sample)
        if seen is not None:
            plain = NeighbourCache(bank).score(seen, without=sample, taught=features)
            found[sample] = bank.amplify(seen, plain).value
            both = [material_coordinates(material(f.patches), reference.axes) for f in (features, seen)]
            shifts.append((both[1] - both[0]) / reference.spread[-len(both[0]) :])
    for defect in defects:
        seen = look(defect.sample)
        if seen is not None:
            found[defect.sample] = NeighbourCache(bank).score(seen, region=defect.mask).value
    gone = tuple(sample for sample in (*goods, *shown) if sample not in found)
    parity = Parity(len(goods), len(shown), 0.0, "", 0.0, (), gone, None)
    if gone:
        return parity
    now = threshold_of(held_out, [found[s] for s in goods], [found[s] for s in shown], then.rate)
    everywhere = [
        (then, now),
        *((then.for_regime(r), now.for_regime(r)) for r in sorted({*then.per_regime, *now.per_regime})),
    ]
    judged_by = {
        s: [(then.for_regime(r), now.for_regime(r))] for s, r in zip(held_out.samples, held_out.regimes, strict=True)
    }
    scores = goods | shown
    apart = {s: abs(found[s] / now.value - v / then.value) / max(1.0, v / then.value) for s, v in scores.items()}
    worst = max(apart, key=apart.__getitem__)
    return replace(
        parity,
        worst=apart[worst],
        worst_at=worst,
        shift=float(np.abs(np.mean(shifts, axis=0)).max()),
        differing=tuple(
            s
            for s, score in scores.items()
            if any((score > one.value) != (found[s] > other.value) for one, other in judged_by.get(s, everywhere))
        ),
        threshold=now,
    )


def _few(samples: tuple[str, ...]) -> str:
    return ", ".join(samples[:3]) + (f" and {len(samples) - 3} more" if len(samples) > 3 else "")
