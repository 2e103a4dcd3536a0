"""The monitor: causes named, dated, held and released; trust lost and won; bursts, steps and restarts survived."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import material_of

from daemon.datasets.rendered import STEADY, Flaw, Scene, part
from drift.chart import BURST_FRAMES
from drift.light import LightEstimate, compensate
from drift.light_tracker import PAUSE_MS, START_FRAMES
from drift.monitor import CALM, TRUST_LIMIT, DriftState, MeasuredFrame, Monitor, Trust
from drift.reference import Reference, Signals, measure
from drift.signals import LIGHT, SIGNALS, Vector, light
from memory.features import Image


def seen(signals: Signals, number: int, *, flagged: bool = False) -> MeasuredFrame:
    """A frame of a line that shows one every millisecond."""
    return MeasuredFrame(signals, number, number, flagged)


def drawn(reference: Reference, rng: np.random.Generator, **moved: float) -> Signals:
    """A frame whose signals are drawn around the reference, some moved by so many spreads."""
    z = rng.uniform(-1, 1, len(SIGNALS))
    for name, by in moved.items():
        z[SIGNALS.index(name)] += by
    values = reference.mean + z * reference.spread
    return Signals(values, reference.light + (values[0] - reference.mean[0]))


def gain_of(monitor: Monitor, raw: Image, at_ms: int) -> Vector:
    """The gain by channel (3,) that a frame is compensated with."""
    return monitor.light_at(at_ms, lambda: light(raw)).gain(monitor.reference.light)


def show_part(
    monitor: Monitor, number: int, scene: Scene, flaw: Flaw | None = None, *, flagged: bool = False
) -> DriftState:
    """The monitor after a rendered part, seen as the engine sees it: compensated by what is believed so far."""
    raw = part(number, scene, flaw)
    image = compensate(raw, gain_of(monitor, raw, number))
    signals = measure(raw, image, material_of(image), monitor.reference)
    return monitor.update(seen(signals, number, flagged=flagged))


def causes(state: DriftState) -> list[str]:
    return [change.cause for change in state.changes]


def test_a_calm_line_never_alarms(reference: Reference, rng: np.random.Generator) -> None:
    monitor = Monitor(reference)
    states = [monitor.update(seen(drawn(reference, rng), i)) for i in range(3000)]
    assert all(state.trust is Trust.STABLE and not state.changes for state in states)


def test_a_cause_is_named_held_and_released(reference: Reference, rng: np.random.Generator) -> None:
    monitor = Monitor(reference)
    for i in range(50):
        monitor.update(seen(drawn(reference, rng), i))
    for i in range(50, 150):
        state = monitor.update(seen(drawn(reference, rng, shift_x=8), i))
    assert state.trust is Trust.DRIFTING
    assert causes(state) == ["shift"]
    since = state.changes[0].since_ms
    assert abs(since - 50) <= 3
    assert "px right" in state.changes[0].amount
    state = monitor.update(seen(drawn(reference, rng), 150))
    assert [(c.cause, c.since_ms) for c in state.changes] == [("shift", since)], "held, with its onset"
    for i in range(151, 500):
        state = monitor.update(seen(drawn(reference, rng), i))
    assert state.trust is Trust.STABLE


def test_a_slow_ramp_is_not_lost(reference: Reference, rng: np.random.Generator) -> None:
    monitor = Monitor(reference)
    for i in range(3000):
        state = monitor.update(seen(drawn(reference, rng, contrast=i / 1000), i))
    assert causes(state) == ["contrast"]


def test_a_small_step_is_noticed_as_news_and_not_held(reference: Reference) -> None:
    monitor, rng = Monitor(reference), np.random.default_rng(1)  # so small a step is not noticed under every seed
    news = []
    for i in range(900):
        state = monitor.update(seen(drawn(reference, rng, noise=0.4 if i >= 300 else 0.0), i))
        assert state.trust is Trust.STABLE
        news += state.noticed
    assert news
    assert {change.cause for change in news} == {"noise"}


@pytest.mark.parametrize("scene", [Scene(light=1.3), Scene(light=0.75), Scene(tint=(1.1, 1.0, 0.9))])
def test_light_is_compensated_and_called_by_its_name(reference: Reference, scene: Scene) -> None:
    monitor = Monitor(reference)
    for number in range(30):
        show_part(monitor, 100 + number, STEADY)
    for number in range(130, 190):
        state = show_part(monitor, number, scene)
    assert state.trust is Trust.COMPENSATING
    assert causes(state) == ["light" if scene.light != 1.0 else "colour"]
    assert monitor.gain == pytest.approx(np.log(np.array(scene.tint) * scene.light), abs=0.04)


def test_a_step_of_the_lamp_is_followed_at_once(reference: Reference) -> None:
    """By the slow estimate alone a third of it would be left after twenty frames."""
    monitor = Monitor(reference)
    for number in range(30):
        show_part(monitor, 100 + number, STEADY)
    for number in range(130, 138):
        show_part(monitor, number, Scene(light=1.5))
    assert monitor.gain == pytest.approx(np.full(3, np.log(1.5)), abs=0.04)
    for number in range(138, 146):
        show_part(monitor, number, Scene(light=0.9))
    assert monitor.gain == pytest.approx(np.full(3, np.log(0.9)), abs=0.04), "also the second step, and back"


def test_the_light_is_not_followed_while_a_burst_is_flagged(reference: Reference, rng: np.random.Generator) -> None:
    """Ten parts that are black all over stay black; a lamp that went dim is followed once it is no burst."""
    monitor = Monitor(reference)
    for i in range(50):
        monitor.update(seen(drawn(reference, rng), i))
    before = monitor.gain
    for i in range(50, 50 + BURST_FRAMES):
        monitor.update(seen(drawn(reference, rng, exposure=-20), i, flagged=True))
    assert np.array_equal(monitor.gain, before)
    for i in range(100, 110):
        monitor.update(seen(drawn(reference, rng, exposure=-20), i, flagged=True))
    assert (monitor.gain < before - 0.3).all()


def test_far_beyond_the_reference_trust_is_lost_for_images_and_not_for_material(
    reference: Reference, rng: np.random.Generator
) -> None:
    blind, worn = Monitor(reference), Monitor(reference)
    for i in range(200):
        lost = blind.update(seen(drawn(reference, rng, sharpness=-60), i))
        new = worn.update(seen(drawn(reference, rng, material_1=60, material_off=60), i))
    assert lost.trust is Trust.UNTRUSTED
    assert new.trust is Trust.DRIFTING
    assert causes(new) == ["material"]


def test_trust_is_won_back_later_than_it_was_lost(reference: Reference, rng: np.random.Generator) -> None:
    monitor = Monitor(reference)
    for i in range(200):
        monitor.update(seen(drawn(reference, rng, sharpness=-TRUST_LIMIT - 3), i))
    trusts = [monitor.update(seen(drawn(reference, rng, sharpness=-10), i)).trust for i in range(200, 300)]
    assert set(trusts) == {Trust.UNTRUSTED}, "ten spreads do not lose trust, nor win it back"
    trusts = [monitor.update(seen(drawn(reference, rng), i)).trust for i in range(300, 600)]
    assert trusts[0] is Trust.UNTRUSTED
    assert trusts[-1] is Trust.STABLE


def test_a_burst_of_wild_frames_does_not_lose_trust_nor_make_a_new_material(
    reference: Reference, rng: np.random.Generator
) -> None:
    monitor = Monitor(reference)
    for i in range(80):
        wild = 40 <= i < 40 + BURST_FRAMES
        moved = dict.fromkeys(("texture", "material_1", "material_off"), 20.0 if wild else 0.0)
        state = monitor.update(seen(drawn(reference, rng, **moved), i, flagged=wild))
        assert state.trust is Trust.STABLE
        assert not state.changes


@pytest.mark.parametrize("flaw", list(Flaw))
def test_a_burst_of_defects_changes_no_scene(reference: Reference, flaw: Flaw) -> None:
    monitor = Monitor(reference)
    for number in range(60):
        bad = 40 <= number < 40 + BURST_FRAMES
        state = show_part(monitor, 300 + number, STEADY, flaw if bad else None, flagged=bad)
        assert not state.changes


@settings(max_examples=25)
@given(z=st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=1, max_size=40), cut=st.integers(0, 40))
def test_a_rewarmed_monitor_believes_what_the_old_one_did(
    reference: Reference, z: list[tuple[float, bool]], cut: int
) -> None:
    past = [
        seen(Signals(reference.mean + v * reference.spread, reference.light + v / 10), i, flagged=flagged)
        for i, (v, flagged) in enumerate(z)
    ]
    calm, stopped = Monitor(reference), Monitor(reference)
    for frame in past:
        calm.update(frame)
    for frame in past[:cut]:
        stopped.update(frame)
    again = Monitor(reference)
    again.rewarm([(frame, ()) for frame in past[:cut]], stopped.light)
    assert again.rewarmed_frames == len(past[:cut])
    for frame in past[cut:]:
        again.update(frame)
    assert again.state == calm.state
    assert again.light == calm.light


def test_before_the_first_frame_all_is_calm(reference: Reference) -> None:
    monitor = Monitor(reference)
    assert monitor.state == CALM
    assert isinstance(monitor.light, LightEstimate)
    assert np.array_equal(monitor.gain, np.zeros(len(LIGHT)))


@pytest.mark.parametrize("scene", [Scene(light=1.2), Scene(light=0.8), Scene(tint=(1.1, 1.0, 1.0))])
def test_a_line_that_starts_takes_its_light_from_its_first_frames(reference: Reference, scene: Scene) -> None:
    """Before, ten flagged parts in a row held the light as taught."""
    monitor, lamp = Monitor(reference), np.log(np.array(scene.tint) * scene.light)
    for number in range(400, 410):
        assert gain_of(monitor, part(number, scene), number) == pytest.approx(lamp, abs=0.1), number
        show_part(monitor, number, scene, flagged=True)


def test_after_a_pause_the_light_is_taken_from_the_next_frames(reference: Reference) -> None:
    monitor, dim = Monitor(reference), part(500, Scene(light=0.7))
    for number in range(400, 420):
        show_part(monitor, number, STEADY)
    assert np.array_equal(gain_of(monitor, dim, 420), monitor.gain), "a running line does not believe one frame"
    assert gain_of(monitor, dim, 420 + PAUSE_MS) == pytest.approx(np.full(3, np.log(0.7)), abs=0.1)


def test_a_first_part_that_is_dark_all_over_is_outvoted(reference: Reference) -> None:
    monitor = Monitor(reference)
    for number in range(400, 404):
        show_part(monitor, number, Scene(light=0.6) if number == 400 else STEADY)
    assert np.abs(monitor.gain).max() < 0.05


def test_what_was_seen_before_a_pause_tells_nothing_of_the_new_lamp(reference: Reference) -> None:
    monitor = Monitor(reference)
    for number in range(400, 460):
        show_part(monitor, number, STEADY)
    for shown, light_level in enumerate((1.3,) * 10 + (1.15,) * 20):
        raw = part(500 + shown, Scene(light=light_level))
        at_ms = 460 + PAUSE_MS + shown
        signals = measure(raw, compensate(raw, gain_of(monitor, raw, at_ms)), material_of(raw), reference)
        monitor.update(MeasuredFrame(signals, at_ms, at_ms, flagged=False))
        assert np.log(1.1) < monitor.gain.mean() < np.log(1.35), shown


def test_where_the_first_frames_are_as_taught_the_light_is_too(reference: Reference) -> None:
    monitor = Monitor(reference)
    for number in range(400, 400 + START_FRAMES):
        assert not gain_of(monitor, part(number, STEADY), number).any()
        show_part(monitor, number, STEADY)


def test_parts_that_differ_more_tell_less_of_the_lamp(reference: Reference) -> None:
    wide, dim = replace(reference, spread=10 * reference.spread), part(400, Scene(light=0.8))
    assert gain_of(Monitor(reference), dim, 0).mean() == pytest.approx(np.log(0.8), abs=0.05)
    assert not gain_of(Monitor(wide), dim, 0).any()
