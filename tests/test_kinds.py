"""Every kind of detector that we ship goes through a line's day."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import NOW_MS, frame, make_service, untracked
from pictures import png

from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers, lesson
from daemon.learning.rollback import roll_back
from daemon.learning.teach import images_in, teach
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.composition.detector import COMPOSITION
from memory.extract import Extractor
from memory.padim.detector import PADIM
from memory.simplenet.detector import SIMPLENET
from memory.version import Version


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
