"""Pools of frames' signals, good and changed, from which the drift benchmark draws its streams.

A pool is measured once, image by image, with the extractor; a stream draws parts from it with replacement. A change
holds the same parts as the good pool, so that a ramp is a part's way from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

from bench.lib.material import Material
from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from drift.light import compensate
from drift.monitor import Monitor
from drift.reference import Reference, Signals, fit_reference, leave_one_out_signals, measure
from drift.signals import LIGHT, Vector, light, material
from memory.extract import Extractor
from memory.features import Features, Image


@dataclass(frozen=True)
class Extent:
    """How many rendered parts are taught, on two lines; how many are measured that were not, and how many with each
    defect; which sizes of changes are (all where none is named); over how many frames the lamp of the tiles changes.
    """

    taught: tuple[int, int]
    unseen: int
    bad: int
    sizes: tuple[str, ...]
    ramps: tuple[int, ...]


FULL = Extent(taught=(40, 12), unseen=80, bad=30, sizes=(), ramps=(0, 10, 100, 1000))
SHORT = Extent(taught=(10, 5), unseen=8, bad=2, sizes=("-20%", "1.0 px", "wear 0.5"), ramps=(0, 10))


@dataclass(frozen=True)
class Pool:
    """Signals (n, S) of n parts, in full compensation and in none, how far the former may be off, and their light
    (n, 3).
    """

    clean: Vector
    raw: Vector
    reach: Vector
    light: Vector

    def at(self, i: int, good: Pool, share: float) -> Pool:
        """One part, (S,), a `share` of the way from what it is in the `good` pool."""
        pairs = ((getattr(good, f.name)[i], getattr(self, f.name)[i]) for f in fields(self))
        return Pool(*(one + share * (other - one) for one, other in pairs))

    def signals(self, left: float) -> Signals:
        """The signals of one part where a share of the light's change is `left` uncompensated."""
        left = min(max(left, 0.0), 1.0)
        values = self.clean + left * (self.raw - self.clean)
        values[: len(LIGHT)] = self.clean[: len(LIGHT)]
        return Signals(values, self.light, (1 - left) * self.reach)


@dataclass(frozen=True)
class Change:
    """A cause in one size; `frames` is how long it takes to come, 0 at once."""

    cause: str
    size: str
    pool: Pool
    frames: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Setting:
    """What was `taught`, its signals (n, S) in spreads; good parts that were not, their changes, defects by kind."""

    name: str
    reference: Reference
    taught: Vector
    good: Pool
    changes: tuple[Change, ...]
    bad: dict[str, Pool]

    def z(self, pool: Pool) -> Vector:
        """A pool's signals (n, S) in spreads, compensated."""
        return self.reference.z(pool.clean)

    def stream(self, change: Change, before: int, after: int, rng: np.random.Generator) -> Stream:
        """A stream of frames that the change comes into after `before` good ones."""
        return Stream(self, change, before, rng.integers(0, len(self.good.clean), before + after))


@dataclass(frozen=True)
class Stream:
    """Which part each frame shows, and what it looks like under the light as a monitor believes it to be."""

    setting: Setting
    change: Change
    before: int
    parts: npt.NDArray[np.int64]

    def frame(self, number: int, monitor: Monitor) -> Signals:
        """The signals of one frame; what compensation leaves over shows in them by its share of the whole change."""
        good, changed, i = self.setting.good, self.change.pool, self.parts[number]
        gone = 1.0 if not self.change.frames else min((number - self.before + 1) / self.change.frames, 1.0)
        share = self.change.share * gone if number >= self.before else 0.0
        wanted = float((share * (changed.light - good.light).mean(axis=0)).mean())
        left = 1 - float(monitor.gain.mean()) / wanted if abs(wanted) > 0.005 else 0.0
        return changed.at(i, good, share).signals(left)


Look = Callable[[Image], Features]


def rendered(backbone: Extractor, extent: Extent, taught: int, *, changes: bool = True) -> Setting:
    """The rendered line under every cause in several sizes."""

    def image(number: int, scene: Scene = STEADY, flaw: Flaw | None = None) -> Image:
        pixels = cv2.resize(part(number, scene, flaw), (backbone.input_px,) * 2, interpolation=cv2.INTER_AREA)
        return pixels.astype(np.uint8, copy=False)

    reference, own = _taught([image(i) for i in range(taught)], backbone)
    numbers = range(1000, 1000 + extent.unseen)

    def pool(scene: Scene) -> Pool:
        return measured([image(i, scene) for i in numbers], reference, backbone)

    scenes = [each for each in SCENES if not extent.sizes or each[1] in extent.sizes] if changes else []
    bad = {
        str(flaw): measured([image(2000 + i, STEADY, flaw) for i in range(extent.bad)], reference, backbone)
        for flaw in (Flaw if changes else ())
    }
    brought = tuple(Change(cause, size, pool(scene)) for cause, size, scene in scenes)
    return Setting(f"rendered, {taught} taught", reference, own, pool(STEADY), brought, bad)


SCENES = [
    *(("light", f"{f - 1:+.0%}", Scene(light=f)) for f in (1.01, 1.05, 1.2, 0.8)),
    *(("colour", f"red {f - 1:+.0%}", Scene(tint=(f, 1.0, 1.0))) for f in (1.05, 0.9)),
    *(("blur", f"{s} px", Scene(blur_px=s)) for s in (0.5, 1.0, 2.0)),
    *(("noise", f"×{s / 0.008:.2f}", Scene(noise=s)) for s in (0.010, 0.012, 0.020)),
    *(("shift", f"{x} px", Scene(shift_px=(float(x), 0.0))) for x in (1, 3, 5, 20)),
    *(("rotation", f"{d}°", Scene(turn_deg=d)) for d in (1.0, 3.0, 8.0)),
    *(("material", f"wear {w}", Scene(wear=w)) for w in (0.2, 0.5, 1.0)),
]


def tiles(on: Material, backbone: Extractor, extent: Extent, seed: int) -> Setting:
    """Real tiles of the first exposure: taught from the setup, good ones and defects that were not; the lamp of 1, 5
    and 20 % more light at once and over 10, 100 and 1,000 frames.
    """

    rows = on.shots(seed)
    reference, own = _taught([on.load(s) for s in rows if s.role == "setup"], backbone)
    first = [s for s in rows if s.role != "setup" and s.exposure == 1]
    images = [on.load(s) for s in first if not s.defective]
    brighter = measured([np.clip(np.rint(i * 1.2), 0, 255).astype(np.uint8) for i in images], reference, backbone)
    lamps = [
        Change(
            "light", f"+{percent} % over {frames or 1}", brighter, frames, float(np.log1p(percent / 100) / np.log(1.2))
        )
        for percent in (1, 5, 20)
        for frames in extent.ramps
    ]
    kinds = sorted({s.label for s in first if s.defective})
    bad = {kind: measured([on.load(s) for s in first if s.label == kind], reference, backbone) for kind in kinds}
    return Setting(f"tiles, seed {seed}", reference, own, measured(images, reference, backbone), tuple(lamps), bad)


def _taught(images: Sequence[Image], look: Look) -> tuple[Reference, Vector]:
    """The reference of taught images, and their own signals (n, S) in spreads, each against the others."""
    features = [look(image) for image in images]
    reference = fit_reference(images, features, look, 0)
    values = leave_one_out_signals(images, [material(each) for each in features], reference.template, 0)
    return reference, reference.z(values)


def measured(images: Sequence[Image], reference: Reference, look: Look) -> Pool:
    """The signals of images as they come, and with the light that they have in common divided out."""
    lights = np.stack([light(image) for image in images])
    gain = lights.mean(axis=0) - reference.light
    if np.abs(gain).max() < 0.005:
        gain = np.zeros(3)
    clean, raw, reach = [], [], []
    for image in images:
        seen = compensate(image, gain)
        signals = measure(image, seen, look(seen), reference)
        clean.append(signals.values)
        reach.append(signals.reach)
        raw.append(measure(image, image, look(image), reference).values if gain.any() else clean[-1])
    return Pool(np.stack(clean), np.stack(raw), np.stack(reach), lights)
