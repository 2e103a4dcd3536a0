"""Proof that the line inspects: a drawn defect is caught or told, and a line that rejects nothing is told."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import details, frame
from hypothesis import given
from hypothesis import strategies as st
from lessons import judge
from pictures import png

from daemon import schedule
from daemon.datasets.rendered import Flaw, Scene
from daemon.inference import probe_part as probe_parts
from daemon.inference.probe_part import probe_part, with_defect
from daemon.inspection import inspect, tell_silence
from daemon.service import Service
from policies.silence import quiet_after


def test_the_newest_passed_part_with_a_drawn_defect_is_caught_and_nothing_is_recorded(service: Service) -> None:
    active = service.engine.active
    assert active is not None
    assert probe_part(service.engine, active) is None, "no frame was passed yet"
    judge(service, "older", 501, Scene())
    judge(service, "good", 504, Scene())
    judge(service, "bad", 610, Scene(), Flaw.BURR)
    before, state = service.engine.ledger.counts(), active.monitor.state
    probed = probe_part(service.engine, active)
    assert probed
    assert (probed.frame_id, probed.caught) == ("good", True)
    assert probed.score is not None
    assert probed.score > probed.threshold
    assert (service.engine.ledger.counts(), active.monitor.state) == (before, state)


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Whatever is drawn, the part looks as before."""
    monkeypatch.setattr(probe_parts, "with_defect", lambda image, _inside, _draw: image)
    return monkeypatch


def test_a_probe_part_that_passes_is_trouble_until_one_is_caught(service: Service, blind: pytest.MonkeyPatch) -> None:
    judge(service, "good", 504, Scene())
    for _ in range(2):
        inspect(service)
    schedule.snapshot(service)
    reported = service.engine.ledger.service(60)
    assert "a part with a drawn defect passed by version 1" in reported["trouble"]["inspection"]
    assert reported["probe_part"]["caught"] is False
    assert len(details(service.engine.ledger, "inspection_away")) == 1, "told once"
    blind.undo()
    schedule.snapshot(service)
    assert service.engine.ledger.service(60)["trouble"] == {}
    assert len(details(service.engine.ledger, "inspection_back")) == 1


def test_a_part_that_cannot_be_judged_is_not_passed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(service, "good", 504, Scene())
    monkeypatch.setattr(probe_parts, "with_defect", lambda image, _inside, _draw: np.full_like(image, 128))
    inspect(service)
    assert service.trouble == {}


def test_without_a_version_there_is_nothing_to_inspect(service: Service) -> None:
    service.engine.active = None
    inspect(service)
    assert service.engine.ledger.get_status("probe_part") is None


@given(height=st.integers(16, 90), width=st.integers(16, 90), seed=st.integers(0, 99), region=st.booleans())
def test_the_defect_is_drawn_where_it_is_judged(height: int, width: int, seed: int, region: bool) -> None:
    image = np.full((height, width, 3), 100, np.uint8)
    inside = np.zeros((height, width), bool)
    inside[height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = True
    drawn = with_defect(image, inside if region else None, np.random.default_rng(seed))
    changed = (drawn != image).any(axis=2)
    assert changed.any()
    assert not region or not (changed & ~inside).any()
    assert changed.sum() <= (max(min(height, width) // 8, 8) + 1) ** 2
    assert (image == 100).all()
    assert set(np.unique(drawn)) <= {0, 100, 255}


def test_a_line_that_rejects_nothing_is_told_once_and_its_end_too(service: Service) -> None:
    ledger = service.engine.ledger

    def told() -> tuple[int, int]:
        return len(details(ledger, "line_quiet")), len(details(ledger, "line_quiet_over"))

    for number in range(199):
        judge(service, f"ok{number}", (501, 504, 507, 508)[number % 4], Scene())
    assert quiet_after(0.05) == 200
    tell_silence(ledger, 0.05, 1)
    assert told() == (0, 0)
    judge(service, "last", 510, Scene())
    for _ in range(2):
        tell_silence(ledger, 0.05, 2)
    assert told() == (1, 0)
    assert details(ledger, "line_quiet") == [{"frames": 200}]
    service.engine.judge(frame("bad", png(610, Scene(), Flaw.BURR)))
    for _ in range(2):
        tell_silence(ledger, 0.05, 3)
    assert told() == (1, 1)


@given(rate=st.floats(1e-4, 0.5))
def test_chance_does_not_make_a_line_quiet(rate: float) -> None:
    assert (1 - rate) ** quiet_after(rate) < 1e-4
