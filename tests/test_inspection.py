"""Proof that the line inspects: a drawn defect is caught or told, and a line that rejects nothing is told."""

from __future__ import annotations

from collections.abc import Callable

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
from memory.features import Image
from memory.region import Inside
from policies.silence import quiet_after


def test_the_newest_passed_part_with_a_drawn_defect_is_caught_and_nothing_is_recorded(
    service: Service, rng: np.random.Generator
) -> None:
    active = service.engine.active
    assert active is not None
    assert probe_part(service.engine, active, rng) is None, "no frame was passed yet"
    judge(service, "older", 501, Scene())
    judge(service, "good", 504, Scene())
    judge(service, "bad", 610, Scene(), Flaw.BURR)
    before, state = service.engine.ledger.counts(), active.monitor.state
    probed = probe_part(service.engine, active, rng)
    assert probed
    assert (probed.frame_id, probed.caught) == ("good", True)
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
    for _ in range(2):
        schedule.snapshot(service)
    assert service.engine.ledger.service(60)["trouble"] == {}
    assert len(details(service.engine.ledger, "inspection_back")) == 1


@pytest.mark.parametrize("made", [lambda image: np.full_like(image, 128), lambda _: None])
def test_a_part_that_cannot_be_judged_proves_nothing(
    service: Service, blind: pytest.MonkeyPatch, made: Callable[[Image], Image | None]
) -> None:
    judge(service, "good", 504, Scene())
    blind.setattr(probe_parts, "with_defect", lambda image, _inside, _draw: made(image))
    inspect(service)
    assert service.trouble == {}
    blind.setattr(probe_parts, "with_defect", lambda image, _inside, _draw: image)
    inspect(service)
    blind.setattr(probe_parts, "with_defect", lambda image, _inside, _draw: made(image))
    inspect(service)
    assert "inspection" in service.trouble, "what was stands"


def test_one_defect_of_three_that_is_caught_is_enough(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(service, "good", 504, Scene())
    tries: list[int] = []

    def third(image: Image, inside: Inside, draw: np.random.Generator) -> Image | None:
        tries.append(1)
        return with_defect(image, inside, draw) if len(tries) == 3 else image

    monkeypatch.setattr(probe_parts, "with_defect", third)
    inspect(service)
    assert (service.trouble, len(tries)) == ({}, 3)


def test_a_device_that_fails_is_trouble_and_the_service_goes_on_reporting(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(service, "good", 504, Scene())

    def broken(*_: object) -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr(service.engine, "score_image", broken)
    for _ in range(2):
        inspect(service)
        schedule.snapshot(service)
    assert "device lost" in service.engine.ledger.service(60)["trouble"]["inspection"]


def test_without_a_version_there_is_nothing_to_inspect(service: Service) -> None:
    service.engine.active = None
    inspect(service)
    assert service.engine.ledger.get_status("probe_part") is None


@given(height=st.integers(8, 90), width=st.integers(8, 90), seed=st.integers(0, 99), region=st.booleans())
def test_the_defect_is_drawn_where_it_is_judged(height: int, width: int, seed: int, region: bool) -> None:
    image = np.full((height, width, 3), 100, np.uint8)
    inside = np.zeros((height, width), bool)
    inside[height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = True
    drawn = with_defect(image, inside if region else None, np.random.default_rng(seed))
    assert (image == 100).all()
    if drawn is None:
        assert region
        return
    changed = (drawn != image).any(axis=2)
    assert changed.sum() >= 12, "a quarter of a disc of eight pixels"
    assert not region or not (changed & ~inside).any()
    assert changed.sum() <= (max(min(height, width) // 8, 8) + 1) ** 2
    assert set(np.unique(drawn)) <= {0, 100, 255}


@pytest.mark.parametrize("place", [np.s_[:, :1], np.s_[:1, :], np.s_[10:11, 10:11]])
def test_where_too_little_is_judged_no_defect_is_drawn(place: tuple[slice, slice]) -> None:
    inside = np.zeros((128, 128), bool)
    inside[place] = True
    assert with_defect(np.full((128, 128, 3), 100, np.uint8), inside, np.random.default_rng(0)) is None


def test_a_line_that_rejects_nothing_is_told_once_and_its_end_too(service: Service) -> None:
    ledger = service.engine.ledger

    def told() -> tuple[int, int]:
        return len(details(ledger, "line_quiet")), len(details(ledger, "line_quiet_over"))

    for number in range(119):
        judge(service, f"ok{number}", (501, 504, 507, 508)[number % 4], Scene())
    assert quiet_after(0.5) == 120
    tell_silence(ledger, 0.5, 1)
    assert told() == (0, 0)
    judge(service, "last", 510, Scene())
    for _ in range(2):
        tell_silence(ledger, 0.5, 2)
    assert told() == (1, 0)
    assert details(ledger, "line_quiet") == [{"frames": 120}]
    service.engine.judge(frame("bad", png(610, Scene(), Flaw.BURR)))
    for _ in range(2):
        tell_silence(ledger, 0.5, 3)
    assert told() == (1, 1)


@given(rate=st.floats(1e-4, 0.5))
def test_chance_does_not_make_a_line_quiet(rate: float) -> None:
    assert (1 - rate) ** quiet_after(rate) < 1e-4
