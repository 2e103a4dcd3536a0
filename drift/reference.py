"""A version's reference: its taught parts' signals, with the limits of charts and the marks of causes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from drift.causes import Cause, Marks, simulate_causes
from drift.chart import TILTS, Evidence, bound
from drift.light import painted
from drift.registration import Template, join, template_of, without
from drift.signals import (
    AXES,
    CAMERA,
    GREY,
    LIGHT,
    SIGNALS,
    Axes,
    Inside,
    Vector,
    grains,
    grey_of,
    light,
    material,
    material_coordinates,
    picture,
    principal,
    principal_without_each,
)
from memory.features import Features, Image
from memory.progress import steps
from memory.side_by_side import side_by_side

# The least spreads: 2 to 5 %, half a pixel, a quarter of a degree.
FLOOR = np.array([0.02] * 3 + [0.03] + [0.05] * 2 + [0.5, 0.5, 0.25, 0.05])
MATERIAL_FLOOR = 0.01  # of the length of the mean material
SIMULATED_PARTS = 3
GRAINY = [SIGNALS.index(name) for name in ("sharpness", "noise", "texture")]
_MARKS = "marks."


@dataclass(frozen=True)
class Reference:
    """The reference that drift is measured against; fixed for a version.

    `mean` and `spread` (S,) of good parts' signals; `light` (3,), their brightness by channel; `template` and `axes`,
    which frames are registered and measured against; `limits` (S, 2, T) of the charts; `marks` of every cause, the
    shifts (V, S) of the signals in its V variants, in spreads.
    """

    mean: Vector
    spread: Vector
    light: Vector
    template: Template
    axes: Axes
    limits: Evidence
    marks: Marks

    def arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """The reference as plain arrays, for the store."""
        return {
            "mean": self.mean,
            "spread": self.spread,
            "light": self.light,
            "picture": self.template.picture.astype(np.float64),
            "spectrum": self.template.spectrum.astype(np.float64),
            "centre": self.axes.centre,
            "axes": self.axes.axes,
            "limits": self.limits,
        } | {_MARKS + cause: rows for cause, rows in self.marks.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> Reference:
        """The reference whose `arrays` these are.

        Of one written before causes were known only the light is read: see `blind`.
        """
        if "limits" not in arrays:
            return _blind(arrays)
        return cls(
            mean=arrays["mean"],
            spread=arrays["spread"],
            light=arrays["light"],
            template=Template(arrays["picture"].astype(np.float32), arrays["spectrum"].astype(np.float32)),
            axes=Axes(arrays["centre"], arrays["axes"]),
            limits=arrays["limits"],
            marks={Cause(name.removeprefix(_MARKS)): rows for name, rows in arrays.items() if name.startswith(_MARKS)},
        )

    def z(self, values: Vector) -> Vector:
        """Signals (..., S) as measured, in spreads from the mean."""
        spreads: Vector = (values - self.mean) / self.spread
        return spreads

    @property
    def blind(self) -> bool:
        """Whether it measures light only, since it was taught before causes were known; teaching again ends that."""
        return not self.marks


@dataclass(frozen=True)
class Signals:
    """One frame's signals as measured, in the order of `SIGNALS` (S,), and its light by channel (3,).

    Each may be up to `reach` (S,) more or less: under another light than the taught one it is not known how much of the
    grain was scaled with the texture and how much is the sensor's own.
    """

    values: Vector
    light: Vector
    reach: Vector = field(default_factory=lambda: np.zeros(len(SIGNALS)))

    def z(self, reference: Reference) -> Vector:
        """The ranges (2, S) in which the signals lie, in spreads from the reference's mean."""
        return reference.z(np.stack([self.values - self.reach, self.values + self.reach]))


def measure(
    raw: Image,
    compensated: Image,
    features: Features,
    reference: Reference,
    inside: Inside = None,
    levels: Vector | None = None,
) -> Signals:
    """The signals of one frame: images (H, W, 3) u8 before and after compensation, and its features.

    Where only what lies `inside` counts, `compensated` is painted over elsewhere. The `levels` (3,) are the light of
    `raw`, where that was measured before. A defect on the part hardly moves them.
    """
    levels = light(raw, inside) if levels is None else levels
    as_it_is, scaled = grains(raw, np.array([0.0, (levels - light(compensated, inside)).mean()]), inside)
    detail, reach = (as_it_is + scaled) / 2, np.zeros(len(SIGNALS))
    seen = picture(levels, compensated, reference.template, detail, inside)
    reach[GRAINY] = np.abs(as_it_is - scaled) / 2
    return Signals(np.concatenate([seen, material_coordinates(material(features), reference.axes)]), levels, reach)


def fit_reference(
    images: Sequence[Image],
    features: Sequence[Features],
    extract: Callable[[Image], Features],
    seed: int,
    inside: Inside = None,
) -> Reference:
    """The reference of at least two taught parts, images (H, W, 3) u8 and their features.

    Where only what lies `inside` (H, W) counts, the images are painted over elsewhere.

    `extract` is the extractor that made these; it is used again for some of the images under every simulated cause.

    Each part is measured against the others alone, as a new one will be. A spread below its floor is raised to it:
    parts that hardly differ must not give charts that raise alarms at nothing.
    """
    seen = [material(one) for one in features]
    template = join(templates_of(images))
    values = leave_one_out_signals(images, seen, template, seed, inside)
    axes, mean = principal(seen, seed), values.mean(axis=0)
    floor = np.concatenate([FLOOR, np.full(len(SIGNALS) - len(FLOOR), MATERIAL_FLOOR * np.linalg.norm(axes.centre))])
    spread = np.maximum(values.std(axis=0), floor)
    marks: dict[tuple[Cause, int], list[Vector]] = {}
    chosen = np.linspace(0, len(images) - 1, min(SIMULATED_PARTS, len(images))).round().astype(int)
    for part in steps(chosen.tolist(), "parts under other light and lenses"):
        original = images[part]
        plain = _values(original, material(extract(original)), template, axes, inside)

        def changed(simulation: tuple[Cause, Image]) -> tuple[Cause, Vector]:
            cause, simulated = simulation
            image = painted(simulated, inside)
            return cause, _values(image, material(extract(image)), template, axes, inside)

        for variant, (cause, under_it) in enumerate(side_by_side(changed, simulate_causes(original, seed))):
            marks.setdefault((cause, variant), []).append((under_it - plain) / spread)
    return Reference(
        mean=mean,
        spread=spread,
        light=np.mean([light(image, inside) for image in images], axis=0),
        template=template,
        axes=axes,
        limits=bound((values - mean) / spread, floor / spread, seed),
        marks=_by_cause(marks),
    )


def leave_one_out_signals(
    images: Sequence[Image], seen: Sequence[Vector], joined: Template, seed: int, inside: Inside = None
) -> Vector:
    """The signals (n, S) of n parts, images (H, W, 3) u8 and their materials (D,), each against all the others; their
    templates are `joined`."""
    axes = principal_without_each(seen, seed)

    def signals(part: int) -> Vector:
        image = images[part]
        others = without(joined, template_of(grey_of(image)), len(images))
        return _values(image, seen[part], others, axes[part], inside)

    return np.stack(list(side_by_side(signals, range(len(images)))))


def templates_of(images: Sequence[Image]) -> Iterator[Template]:
    """The template of each image (H, W, 3) u8."""
    return side_by_side(lambda part: template_of(grey_of(images[part])), range(len(images)))


def _values(image: Image, seen: Vector, template: Template, axes: Axes, inside: Inside) -> Vector:
    """The signals (S,) of an image (H, W, 3) u8 that needs no compensation, and of its material (D,)."""
    detail = grains(image, np.zeros(1), inside)[0]
    return np.concatenate(
        [picture(light(image, inside), image, template, detail, inside), material_coordinates(seen, axes)]
    )


def _by_cause(marks: Mapping[tuple[Cause, int], Sequence[Vector]]) -> Marks:
    """Each cause's marks, averaged over parts, one row for each variant."""
    means: dict[Cause, list[Vector]] = {}
    for (cause, _), rows in marks.items():
        means.setdefault(cause, []).append(np.mean(rows, axis=0))
    return {cause: np.stack(rows) for cause, rows in means.items()}


def _blind(arrays: Mapping[str, npt.NDArray[np.float64]]) -> Reference:
    """A reference of an older format: its light, and an infinite spread for all else, so that nothing else raises
    alarms.

    Its colours were means of all pixels, which is near enough for the light.
    """
    brightness, red, blue = (float(v) for v in (arrays["mean"][0], arrays["mean"][2], arrays["mean"][3]))
    green = brightness - float(np.log(GREY @ np.exp([red, 0.0, blue])))
    mean, spread = np.zeros(len(SIGNALS)), np.full(len(SIGNALS), np.inf)
    mean[0], spread[0] = brightness, arrays["spread"][0]
    gaussian = np.broadcast_to(TILTS + TILTS**2, (len(SIGNALS), 2, len(TILTS))).copy()
    nothing = template_of(np.eye(2, dtype=np.uint8))
    axes = Axes(arrays["centre"], arrays["axes"][:AXES])
    return Reference(mean, spread, np.array([green + red, green, green + blue]), nothing, axes, gaussian, {})


assert len(LIGHT) + len(CAMERA) + 1 == len(FLOOR)  # noqa: S101  # one floor for each, and for texture
