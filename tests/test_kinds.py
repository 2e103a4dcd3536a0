"""Every kind of detector that we ship goes through a line's day."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakSet

import pytest
from conftest import NOW_MS, frame, make_service, untracked
from pictures import png

from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers, lesson
from daemon.learning.rollback import roll_back
from daemon.learning.teach import draft, images_in, teach
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.composition.detector import COMPOSITION
from memory.detector import PATCH_BANK
from memory.extract import Extractor
from memory.features import Features
from memory.padim.detector import PADIM
from memory.simplenet.detector import SIMPLENET
from memory.version import Version

HELD = 10  # two that calibrate, and as many as threads look at, with their lesser forms


@pytest.mark.usefixtures("trained_briefly")
@pytest.mark.parametrize("kind", [PADIM, COMPOSITION, SIMPLENET])
def test_a_line_is_taught_learns_and_goes_back(
    kind: str, settings: Settings, extractor: Extractor, wire: RedisStreams, good_parts: Path
) -> None:
    memory = settings.memory.model_copy(update={"detector": kind})
    line = make_service(settings.model_copy(update={"memory": memory}), extractor, wire)
    teach(images_in(good_parts), line.engine, line.store, "pytest", untracked)
    line.start()
    assert line.store.version(1).detector == kind
    assert line.engine.judge(frame("good", png(5))).verdict == "OK"
    assert line.engine.judge(frame("burr", png(501, STEADY, Flaw.BURR))).verdict == "NG"
    for name, label in (("good", "good"), ("burr", "defect")):
        answers.record(line.engine.ledger, answers.answer(name, label, "anna"), NOW_MS)
    learned = lesson.learn(line.engine, line.store, "test")
    assert isinstance(learned, Version)
    assert (learned.added, learned.gate["found"]) == (("good",), 1)
    assert line.engine.judge(frame("again", png(502, STEADY, Flaw.BURR))).verdict == "NG"
    back = roll_back(line.store, line.engine.ledger, 1, "eva", NOW_MS)
    assert (back.detector, back.removed) == (kind, ("good",))


@pytest.mark.usefixtures("trained_briefly")
@pytest.mark.parametrize("kind", [PATCH_BANK, PADIM, COMPOSITION, SIMPLENET])
def test_whatever_is_taught_few_parts_are_held_at_once(
    kind: str, untaught: Service, good_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, most, made = WeakSet[Features](), [0], Features.__post_init__

    def counted(features: Features) -> None:
        made(features)
        alive.add(features)
        most.append(len(alive))

    monkeypatch.setattr(Features, "__post_init__", counted)
    monkeypatch.setattr("memory.composition.learner.MOST_SCALED", 2)
    engine = untaught.engine
    memory = engine.settings.memory.model_copy(update={"held_out_parts": 2})
    engine.settings = engine.settings.model_copy(update={"memory": memory})
    draft(images_in(good_parts), engine, untaught.store, untracked, detector=kind)
    assert max(most) <= HELD < len(images_in(good_parts))
