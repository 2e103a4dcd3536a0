"""Regimes: what makes a condition known, how it is recognised when it returns, and what holds in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import NOW_MS, details, frame
from hypothesis import given
from hypothesis import strategies as st
from lessons import answer, learn
from pictures import png
from proposals import LIMITS, around, good_part, model, proposal, scratch, showing, with_threshold
from versions import features

from daemon.cli import terminal
from daemon.datasets.rendered import STEADY, Scene
from daemon.ledger import provenance
from daemon.ledger.frames import frame_numbered
from daemon.reporting import report
from daemon.service import Service
from drift.monitor import CALM, DriftState, MeasuredFrame, Monitor, Trust
from drift.reference import Reference, Signals
from drift.regimes import (
    ENOUGH_PARTS,
    MOST_PARTS,
    MOST_REGIMES,
    TAUGHT,
    Regime,
    Sighting,
    extended,
    learned,
    regimes_of,
)
from drift.signals import SIGNALS
from memory.calibration import CalibrationSet
from policies.admission import Hold, LabelledParts, Proposal, propose
from policies.gate import check
from policies.threshold import Threshold, calibrate

NIGHT = {"exposure": -6.0, "material_1": 5.0, "material_off": 5.0}


class Line:
    """A monitor that sees frames drawn around the taught parts, some signals moved by so many spreads."""

    def __init__(self, reference: Reference) -> None:
        self.monitor = Monitor(reference)
        self.rng = np.random.default_rng(1)
        self.now = 0

    def signals(self, **moved: float) -> Signals:
        reference, z = self.monitor.reference, self.rng.uniform(-1, 1, len(SIGNALS))
        for name, by in moved.items():
            z[SIGNALS.index(name)] += by
        values = reference.mean + z * reference.spread
        return Signals(values, reference.light + (values[0] - reference.mean[0]))

    def run(self, frames: int, regimes: tuple[Regime, ...] = (), **moved: float) -> list[DriftState]:
        states = []
        for _ in range(frames):
            self.now += 1
            frame = MeasuredFrame(self.signals(**moved), self.now, NOW_MS + self.now, flagged=False)
            states.append(self.monitor.update(frame, regimes))
        return states

    def confirmed(self, name: int, parts: int, **moved: float) -> tuple[Regime, ...]:
        seen = [Sighting(name, name + i, self.signals(**moved).values, fault=False) for i in range(parts)]
        return regimes_of(extended({}, seen), self.monitor.reference, 0)


def test_a_condition_that_returns_is_recognised_and_judged_by_its_own_reference(reference: Reference) -> None:
    line = Line(reference)
    line.run(50)
    away = line.run(60, **NIGHT)[-1]
    assert {change.cause for change in away.changes} == {"light", "material"}
    assert away.known == TAUGHT
    assert abs(away.regime - 50) <= 3, "a new regime is called by when it began"
    known = line.confirmed(away.regime, 40, **NIGHT)
    assert line.run(300, known)[-1] == replace(line.monitor.state, trust=Trust.STABLE, changes=(), regime=TAUGHT)
    night = line.run(120, known, **NIGHT)
    assert night[20].changes
    assert night[20].regime not in {TAUGHT, away.regime}, "not known yet"
    assert [state.known for state in night[-40:]] == [away.regime] * 40
    assert night[-1].trust is Trust.STABLE
    assert night[-1].regime == away.regime
    ended = [change for state in night for change in state.over]
    assert {change.cause for change in ended} == {"light", "material"}
    worn = line.run(60, known, **(NIGHT | {"shift_x": 6.0}))[-1]
    assert [change.cause for change in worn.changes] == ["shift"], "what changes in the night is told against the night"
    day = line.run(300, known)[-1]
    assert (day.known, day.regime, day.trust) == (TAUGHT, TAUGHT, Trust.STABLE)


def test_a_condition_that_was_confirmed_while_it_lasts_is_known_from_then_on(reference: Reference) -> None:
    """What changes further is told again, and amounts stay those against the taught parts."""
    line = Line(reference)
    line.run(50)
    away = line.run(80, **NIGHT)[-1]
    known = line.confirmed(away.regime, 20, **NIGHT)
    state = line.run(40, known, **NIGHT)[-1]
    assert (state.trust, state.known) == (Trust.STABLE, away.regime)
    further = line.run(60, known, **(NIGHT | {"exposure": -12.0}))[-1]
    (light,) = further.changes
    expected = (np.exp(-12 * reference.spread[0]) - 1) * 100
    assert abs(float(light.amount.removeprefix("light ").removesuffix(" %")) - expected) < 3


def test_another_condition_is_not_taken_for_a_known_one(reference: Reference) -> None:
    line = Line(reference)
    line.run(50)
    known = line.confirmed(7, 40, **NIGHT)
    state = line.run(300, known, **(NIGHT | {"material_1": -5.0}))[-1]
    assert state.known == TAUGHT
    assert state.changes


def test_trust_is_lost_by_distance_from_what_is_known(reference: Reference) -> None:
    line = Line(reference)
    line.run(50)
    known = line.confirmed(7, 40, contrast=-16.0)
    assert line.run(30, known, contrast=-16.0)[-1].trust is Trust.UNTRUSTED
    assert line.run(60, known, contrast=-16.0)[-1].trust is Trust.STABLE


def test_too_few_confirmed_parts_make_nothing_known(reference: Reference) -> None:
    line = Line(reference)
    assert len(line.confirmed(7, ENOUGH_PARTS - 1)) == 1
    assert len(line.confirmed(7, ENOUGH_PARTS)) == 2


def sighting(regime: int, number: int, *, fault: bool = False) -> Sighting:
    return Sighting(regime, number, np.full(len(SIGNALS), float(number)), fault)


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=300))
def test_regimes_are_bounded_and_grow_by_what_was_confirmed(seen: list[tuple[int, bool]]) -> None:
    sightings = [sighting(regime, number, fault=fault) for number, (regime, fault) in enumerate(seen)]
    parts = extended({}, sightings)
    kept = {name.removeprefix("signals."): v for name, v in parts.items() if name.startswith("signals.")}
    assert len(kept) <= MOST_REGIMES
    assert str(TAUGHT) not in kept
    for regime, rows in kept.items():
        own = [s.signals for s in sightings if s.regime == int(regime) and not s.fault][:MOST_PARTS]
        assert np.array_equal(rows, np.stack(own)), "the first ones, so that its reference stands still"
    assert not learned(parts, extended(parts, []))


def test_of_too_many_regimes_the_one_leaves_that_was_seen_longest_ago() -> None:
    parts = extended({}, [sighting(r, 100 * r + i) for r in range(1, MOST_REGIMES + 1) for i in range(ENOUGH_PARTS)])
    parts = extended(parts, [sighting(1, 9_000)])
    new = [sighting(99, 9_100 + i) for i in range(ENOUGH_PARTS)]
    kept = {n for n in extended(parts, new) if n.startswith("signals.")}
    assert kept == {f"signals.{r}" for r in (1, *range(3, MOST_REGIMES + 1), 99)}
    few = {n for n in extended(parts, new[:3]) if n.startswith("signals.")}
    assert few == {f"signals.{r}" for r in range(1, MOST_REGIMES + 1)}, "what is not known yet pushes nothing out"


def test_a_regime_that_an_older_version_named_by_its_time_goes_on_and_was_seen_before_any_named_by_a_frame() -> None:
    old = [sighting(NOW_MS + r, NOW_MS + 10 * r + i) for r in range(MOST_REGIMES) for i in range(ENOUGH_PARTS)]
    parts = extended({}, old)
    grown = extended(parts, [sighting(NOW_MS, 500)])
    assert len(grown[f"signals.{NOW_MS}"]) == ENOUGH_PARTS + 1
    assert grown[f"last.{NOW_MS}"].tolist() == [500], "from now on by the number of a frame"
    new = [sighting(r, 600 + r) for r in (501, 502) for _ in range(ENOUGH_PARTS)]
    kept = {int(n.removeprefix("signals.")) for n in extended(grown, new) if n.startswith("signals.")}
    assert kept == {501, 502, NOW_MS, *(NOW_MS + r for r in range(3, MOST_REGIMES))}


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40), st.lists(st.integers(0, 3), max_size=40), st.integers(1, 30)
)
def test_every_regime_keeps_its_calibration_parts(before: list[int], fresh: list[int], most: int) -> None:
    regimes = [*before, *fresh]
    named = [f"p{i}" for i in range(len(regimes))]
    every = [features(np.zeros((1, 2)))] * len(regimes)
    calibration = CalibrationSet(tuple(named[: len(before)]), tuple(every[: len(before)]), tuple(before))
    grown = calibration.grown(named[len(before) :], every[len(before) :], fresh, most)
    assert len(grown.samples) == min(most, len(regimes))
    counts = {r: grown.regimes.count(r) for r in set(regimes)}
    for regime, count in counts.items():
        assert count == regimes.count(regime) or count >= max(counts.values()) - 1, "the fullest gives way"
        own = [n for n, r in zip(named, regimes, strict=True) if r == regime]
        assert [n for n, r in zip(grown.samples, grown.regimes, strict=True) if r == regime] == own[len(own) - count :]


def test_a_lesson_makes_a_regime_known_once_by_parts_without_a_fault(rng: np.random.Generator) -> None:
    base = model(rng)
    goods = tuple(good_part(f"n{i}", showing(around(rng, 6))) for i in range(12))
    seen = {f"n{i}": sighting(70, i, fault=i >= ENOUGH_PARTS) for i in range(12)}
    parts = LabelledParts(goods, sightings=seen)
    outcome = propose(base, parts, CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert len(outcome.snapshot.regimes["signals.70"]) == ENOUGH_PARTS
    waited = replace(base, version=replace(base.version, waiting=("n0",)))
    outcome = propose(waited, parts, CALM, LIMITS, 0)
    assert isinstance(outcome, Proposal)
    assert len(outcome.snapshot.regimes["signals.70"]) == ENOUGH_PARTS - 1, "who waited was counted then"


def test_a_defect_that_would_be_missed_in_one_regime_holds_the_lesson(rng: np.random.Generator) -> None:
    defect = scratch(rng, "d1")
    base = model(rng, defect)
    before = Threshold.of(base.version.threshold)
    strict = replace(before, per_regime={7: calibrate([before.value / 2], 0.5)})
    score = base.snapshot.detector.score_in(defect.view, defect.mask).value
    assert before.value < score
    lax = replace(before, per_regime={7: calibrate([2 * score], 0.5)})
    base = with_threshold(base, strict)
    assert not isinstance(check(proposal(base, strict)), Hold)
    assert isinstance(check(proposal(base, lax)), Hold)


DIM = Scene(light=0.6, wear=0.4)


@pytest.mark.slow
def test_the_night_shift_comes_back_to_its_own_regime(service: Service) -> None:
    def drift_after(first: int, count: int, scene: Scene) -> DriftState:
        for i in range(first, first + count):
            service.engine.judge(frame(f"s{i}", png(i, scene)))
        return service.engine.drift()

    drift_after(600, 20, STEADY)
    night = drift_after(700, 60, DIM)
    for i in range(730, 750):
        answer(service, f"s{i}", "good")
    version = learn(service)
    assert not isinstance(version, Hold)
    row = service.engine.ledger.frame("s740")
    assert row is not None
    assert row.regime == night.regime
    day = drift_after(800, 80, STEADY)
    assert (day.trust, day.regime) == (Trust.STABLE, TAUGHT)
    again = drift_after(900, 70, DIM)
    assert (again.trust, again.known, again.regime) == (Trust.STABLE, night.regime, night.regime)
    first = frame_numbered(service.engine.ledger, night.regime)
    assert first is not None
    back = details(service.engine.ledger, "regime")[-1]
    assert (back["regime"], back["since_ms"]) == (night.regime, first.judged_ms)
    drift = service.status()["drift"]
    assert "in the regime first seen 20" in dict(terminal.scene(drift))["scene"]  # type: ignore[arg-type]  # a dictionary
    last = service.engine.ledger.frame("s969")
    assert last is not None
    assert str(provenance.why(service.store, service.engine.ledger, last)["regime"]).startswith("20")
    page = report.render(service.engine, service.store, "Test")
    assert "are known; what differs from them" in page
    service.engine.rebuild_monitor()
    assert service.engine.drift().known == night.regime, "also after a restart"
