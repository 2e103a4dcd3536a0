"""A rollback brings old contents back and forgets no defect."""

from __future__ import annotations

import pytest
from conftest import NOW_MS
from lessons import answer, confirm, judge, learn, pass_the_start

from daemon.datasets.rendered import Flaw, Scene
from daemon.learning.rollback import roll_back
from daemon.service import Service
from memory.errors import StoreError


def test_a_rollback_brings_back_the_contents_and_keeps_every_defect(service: Service) -> None:
    pass_the_start(service)
    old = judge(service, "before", 650).score
    confirm(service)
    learn(service)
    judge(service, "d", 610, Scene(), Flaw.BURR)
    answer(service, "d", "defect")
    learn(service)
    restored = roll_back(service.store, service.engine.ledger, 1, "engineer", NOW_MS)
    assert (restored.number, restored.restores, restored.who, restored.feedback_through) == (4, 1, "engineer", 4)
    assert restored.gate["found"] + len(restored.gate["missed"]) == 1
    contents, first = service.store.load(restored).snapshot, service.store.load(service.store.version(1)).snapshot
    assert contents.detector.samples == first.detector.samples
    assert contents.confirmed_defects.samples == ("d",)
    service.notice_versions()
    after = judge(service, "after", 650)
    assert (after.score, after.version) == (old, 4)
    service.recalibrate()
    assert service.store.newest_number() == 4, "what was rolled back is not learned again by itself"


def test_a_rollback_to_nowhere_is_told(service: Service, untaught: Service) -> None:
    del service
    with pytest.raises(StoreError, match="number 9"):
        roll_back(untaught.store, untaught.engine.ledger, 9, "x", NOW_MS)
