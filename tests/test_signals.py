"""Signals by cause, the reference they are measured against, and the names of changes."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import material_of

from daemon.datasets.rendered import Flaw, Scene, part
from drift.alarms import nearest
from drift.causes import Cause, amount, likely_cause, simulate_causes
from drift.light import compensate
from drift.reference import Reference, fit_reference, measure
from drift.registration import SIDE_PX, join, register, template_of, without
from drift.signals import CAMERA, LIGHT, MATERIAL, SIGNALS, Image, Vector, grains, principal, principal_without_each
from memory.features import Features

PARTS = [part(i) for i in range(16)]
FLAT = Features(np.ones((256, 6), dtype=np.float32), (16, 16))


def spreads(reference: Reference, image: Image, compensated: Image | None = None) -> Vector:
    clean = image if compensated is None else compensated
    return nearest(measure(image, clean, material_of(clean), reference).z(reference))


def test_signals_of_good_parts_lie_around_zero(reference: Reference) -> None:
    z = np.stack([spreads(reference, part(i)) for i in range(100, 130)])
    assert np.abs(z.mean(axis=0)).max() < 1.5
    assert z.std(axis=0).max() < 3, "parts that were not taught look no wilder than those that were"


@pytest.mark.parametrize(("parts", "width"), [(2, 8), (3, 8), (4, 3), (5, 8), (30, 6), (40, 64)])
def test_axes_without_each_part_are_those_of_the_others(parts: int, width: int, rng: np.random.Generator) -> None:
    seen = list(rng.normal(size=(parts, width)) * np.linspace(3, 1, width))
    for i, axes in enumerate(principal_without_each(seen, 0)):
        others = principal([*seen[:i], *seen[i + 1 :]], 0)
        assert axes.centre == pytest.approx(others.centre)
        assert axes.axes == pytest.approx(others.axes, abs=1e-9)


def test_a_single_defect_hardly_moves_a_signal(reference: Reference) -> None:
    for flaw in Flaw:
        moved = np.abs(spreads(reference, part(50, flaw=flaw)) - spreads(reference, part(50)))
        assert moved[: len(LIGHT) + len(CAMERA)].max() < 2.5, flaw
        assert moved.max() < 4, flaw


SCENES = {
    "light": Scene(light=1.2),
    "colour": Scene(tint=(1.1, 1.0, 0.95)),
    "blur": Scene(blur_px=1.0),
    "noise": Scene(noise=0.014),
    "shift": Scene(shift_px=(6, -4)),
    "rotation": Scene(turn_deg=4),
}


@pytest.mark.parametrize("cause", SCENES)
def test_a_change_is_named_after_its_cause(reference: Reference, cause: str) -> None:
    moved = np.stack([spreads(reference, part(i, SCENES[cause])) for i in range(50, 62)]).mean(axis=0)
    if cause in {"light", "colour"}:
        own = "exposure" if cause == "light" else "red"
        assert abs(moved[SIGNALS.index(own)]) > 2
    else:
        assert likely_cause(moved, 12, reference.marks, ()) == cause


def test_a_smoother_material_is_not_called_blur(reference: Reference) -> None:
    """Its texture goes and its edges stay; the backbone sees more of it than these stand-in patches do."""
    moved = np.zeros(len(SIGNALS))
    for name, by in {"sharpness": -2.5, "texture": -4.0, "material_1": -4.0, "material_off": 12.0}.items():
        moved[SIGNALS.index(name)] = by
    assert likely_cause(moved, 12, reference.marks, ()) == "material"


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_a_change_of_contrast_is_named(reference: Reference, factor: float) -> None:
    def flat(image: Image) -> Image:
        return np.clip(image.mean() + factor * (image - image.mean()), 0, 255).astype(np.uint8)

    moved = np.stack([spreads(reference, flat(part(i))) for i in range(50, 62)]).mean(axis=0)
    assert likely_cause(moved, 12, reference.marks, ()) == "contrast"
    assert amount(Cause.CONTRAST, moved, reference.spread) == ("contrast -25 %" if factor < 1 else "contrast +25 %")


def test_what_light_does_before_it_is_compensated_is_laid_to_the_light(reference: Reference) -> None:
    moved = np.stack([spreads(reference, part(i, Scene(light=1.3))) for i in range(50, 62)]).mean(axis=0)
    assert likely_cause(moved, 12, reference.marks, {Cause.LIGHT}) == "light"


@pytest.mark.parametrize("bright", [0.75, 1.3])
def test_compensated_light_is_no_change_of_grain_or_sharpness(reference: Reference, bright: float) -> None:
    gain = np.full(3, np.log(bright))
    scene = Scene(light=bright)
    z = [spreads(reference, part(i, scene), compensate(part(i, scene), gain)) for i in range(50, 62)]
    moved = np.abs(np.mean(z, axis=0))
    assert moved[SIGNALS.index("exposure")] > 5
    assert moved[len(LIGHT) : len(LIGHT) + len(CAMERA)].max() < 1.5


@pytest.mark.parametrize("bright", [0.75, 1.3])
def test_grain_under_another_light_is_a_range_and_under_the_taught_one_a_number(
    reference: Reference, bright: float
) -> None:
    scene, noise = Scene(light=bright), SIGNALS.index("noise")
    seen = measure(part(50, scene), compensate(part(50, scene), np.full(3, np.log(bright))), FLAT, reference)
    assert seen.reach[noise] == pytest.approx(abs(np.log(bright)) / 2, rel=0.3)
    assert seen.reach[SIGNALS.index("contrast")] == 0
    low, high = seen.z(reference)
    assert low[noise] < high[noise]
    assert not measure(part(50), part(50), FLAT, reference).reach.any()


@pytest.mark.slow
def test_amounts_are_in_plain_units(reference: Reference) -> None:
    def amount_of(cause: str, scene: Scene) -> str:
        moved = np.stack([spreads(reference, part(i, scene)) for i in range(50, 70)]).mean(axis=0)
        return amount(Cause(cause), moved, reference.spread)

    assert amount_of("light", Scene(light=1.2)) == "light +20 %"
    assert amount_of("colour", Scene(tint=(1.1, 1, 1))) == "red +10 %, blue +0 % against green"
    assert amount_of("shift", Scene(shift_px=(8, 0))).startswith(("part moved 8.", "part moved 7."))
    assert "px right" in amount_of("shift", Scene(shift_px=(8, 0)))
    assert amount_of("rotation", Scene(turn_deg=4)).endswith("clockwise")
    assert amount_of("rotation", Scene(turn_deg=-4)).endswith("anticlockwise")
    assert amount_of("blur", Scene(blur_px=1.5)).startswith("sharpness -")
    assert amount_of("material", Scene(wear=1)).endswith("spreads from the taught parts")


def test_every_cause_is_tried_in_images_of_the_same_shape() -> None:
    simulated = list(simulate_causes(PARTS[0], seed=0))
    assert {cause for cause, _ in simulated} == {"light", "colour", "contrast", "blur", "noise", "shift", "rotation"}
    assert all(image.shape == PARTS[0].shape and image.dtype == np.uint8 for _, image in simulated)


def test_a_part_is_registered_to_a_tenth_of_a_pixel() -> None:
    grey = part(3)[:, :, 1]
    template = join([template_of(grey)])
    for x, y in ((0, 0), (4, 0), (-12, 20)):
        moved = np.roll(grey, (y, x), axis=(0, 1))
        offset = register(moved, template)
        assert offset[:2] == pytest.approx((x, y), abs=0.6)
    assert template.picture.shape == (SIDE_PX, SIDE_PX)


def test_a_template_can_be_had_without_one_of_its_parts() -> None:
    one, two, three = (template_of(part(i)[:, :, 1]) for i in range(3))
    rest, wanted = without(join([one, two, three]), two, 3), join([one, three])
    assert rest.picture == pytest.approx(wanted.picture, abs=1e-3)
    assert rest.spectrum == pytest.approx(wanted.spectrum, abs=1e-3)


def test_parts_that_hardly_differ_make_a_reference_that_does_not_fire_at_nothing() -> None:
    alike = fit_reference([PARTS[0]] * 2, [material_of(PARTS[0])] * 2, material_of, seed=0)
    assert alike.spread.min() > 0
    assert np.isfinite(alike.limits).all()
    assert np.abs(spreads(alike, PARTS[0])).max() < 1


def test_a_reference_survives_the_store(reference: Reference) -> None:
    again = Reference.of(reference.arrays())
    assert np.array_equal(spreads(again, part(50)), spreads(reference, part(50)))
    assert set(again.marks) == set(reference.marks)
    assert all(np.array_equal(again.marks[cause], rows) for cause, rows in reference.marks.items())
    assert not again.blind


def test_a_reference_of_an_older_format_sees_the_light_and_nothing_else(reference: Reference) -> None:
    """As format 3 wrote it: nine signals, among them contrast, red and blue second to fourth."""
    brightness, red, blue = reference.mean[:3]
    old = {
        "mean": np.array([brightness, 4.0, red, blue, 2.0, 1.0, 0.0, 0.0, 0.0]),
        "spread": np.full(9, 0.03),
        "axes": np.eye(3, len(reference.axes.centre)),
        "centre": reference.axes.centre,
    }
    blind = Reference.of(old)
    assert blind.blind
    assert blind.light == pytest.approx(reference.light, abs=0.02)
    bright = spreads(blind, part(50, Scene(light=1.3, wear=1.0, blur_px=2.0)))
    assert bright[0] > 5
    assert np.abs(bright[1:]).max() == 0


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_image_without_structure_has_finite_signals(reference: Reference, grey: int) -> None:
    """A black frame must not leave a chart with a number that never passes."""
    assert np.isfinite(spreads(reference, np.full((256, 256, 3), grey, dtype=np.uint8))).all()


def test_the_order_of_signals_is_the_order_of_their_kinds() -> None:
    assert (*LIGHT, *CAMERA, *MATERIAL) == SIGNALS


@pytest.mark.parametrize("share", [0.05, 0.08, 0.1, 0.12, 0.15, 0.2])
def test_signals_of_a_small_region_are_numbers(share: float) -> None:
    for corner in np.linspace(0, 1 - share, 12):
        inside = np.zeros(PARTS[0].shape[:2], dtype=np.bool_)
        first, last = round(corner * inside.shape[0]), round((corner + share) * inside.shape[0])
        inside[first:last, first:last] = True
        assert np.isfinite(grains(PARTS[0], np.zeros(1), inside)).all()
