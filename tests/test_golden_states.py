"""State folders of older Driftlines open, are brought to today's format once, go on, and can be taken back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from conftest import NOW_MS
from golden_states.make import settings_of
from pictures import png

from daemon import build
from daemon.datasets.rendered import STEADY, Flaw
from daemon.intake.sources import Frame
from daemon.learning import answers
from daemon.ledger import provenance
from daemon.ledger.answers import every_answer
from daemon.ledger.backup import back_up, restore
from daemon.ledger.schema import STEPS
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.streams import RedisStreams

STATES = sorted(
    (Path(__file__).parent / "golden_states").glob("ledger-*"), key=lambda path: int(path.name.partition("-")[2])
)


@pytest.fixture(params=STATES, ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a state folder, and what it holds."""
    shutil.copytree(request.param / "state", tmp_path / "state")
    return tmp_path / "state", json.loads((request.param / "line.json").read_text())


def test_there_is_one_of_today_s_format() -> None:
    assert STATES[-1].name == f"ledger-{len(STEPS)}", "run tests/golden_states/make.py"


def started(state: Path) -> Service:
    settings = settings_of(state)
    streams = RedisStreams(fakeredis.FakeRedis(protocol=2), "memory://", "driftline", "golden")
    service = build.service(settings, open_state(state), build.extractor(settings), streams)
    service.start()
    return service


def test_it_tells_what_it_held_judges_as_it_did_and_learns(golden: tuple[Path, dict[str, Any]]) -> None:
    state, held = golden
    service = started(state)
    ledger = service.engine.ledger
    assert [version.cause for version in service.store.history()] == held["versions"]
    for frame_id, (verdict, score, threshold) in held["frames"].items():
        frame = ledger.frame(frame_id)
        assert frame is not None
        assert (frame.verdict, frame.score, frame.threshold) == (verdict, score, threshold)
        assert provenance.why(service.store, ledger, frame)["verdict"] == verdict
        assert service.engine.view(frame) is not None, "its image is there, and is what was judged"
    assert [answer.frame_id for answer in every_answer(ledger)] == held["answers"]
    again = service.engine.judge(Frame("again", "p", "test", NOW_MS, png(504)))
    assert again.score == pytest.approx(held["frames"]["good"][1], rel=0.05), "its light was estimated since"
    service.engine.judge(Frame("chip", "p", "test", NOW_MS, png(611, STEADY, Flaw.CHIP)))
    answers.record(ledger, answers.answer("chip", "defect", "bert"), NOW_MS)
    service.learn("admission")
    assert [version.cause for version in service.store.history()] == [*held["versions"], "admission"]
    ledger.close()


def test_a_backup_made_before_the_update_brings_it_back(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    state, held = golden
    before = (state / "ledger.sqlite").read_bytes()
    back_up(state, tmp_path / "backup")
    assert (state / "ledger.sqlite").read_bytes() == before, "a backup changes no format"
    started(state).engine.ledger.close()
    restore(tmp_path / "backup", tmp_path / "restored")
    opened = open_state(tmp_path / "restored")
    head = opened.store.head()
    assert head is not None
    assert head.number == len(held["versions"])
    opened.ledger.close()


def test_it_is_brought_to_today_s_format_once(golden: tuple[Path, dict[str, Any]]) -> None:
    state, _ = golden
    open_state(state).ledger.close()
    migrated = (state / "ledger.sqlite").read_bytes()
    open_state(state).ledger.close()
    assert (state / "ledger.sqlite").read_bytes() == migrated
