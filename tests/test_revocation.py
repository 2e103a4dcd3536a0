"""What was taught can be taken back, and every verdict can be explained."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from commands import call
from conftest import NOW_MS, frame, make_service, rows, untracked
from pictures import png
from versions import good_of

from daemon.datasets.rendered import Flaw, Scene
from daemon.learning import answers, compare, lesson, revocation
from daemon.learning.rollback import roll_back
from daemon.ledger import provenance
from daemon.ledger.answers import revocations
from daemon.ledger.frames import newest_frames
from daemon.ledger.history import set_aside_of
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import JudgedFrame
from daemon.ledger.schema import FIRST, STEPS
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.errors import DriftlineError, StoreError
from memory.extract import Extractor
from memory.store import REST_S
from memory.version import Version, VersionDraft
from policies.admission import Hold
from policies.verdict import Verdict

WORN, STEADY = Scene(wear=1.0, warmth=1.0), Scene()
Answer = tuple[str, int, str, str]  # frame id, part number, verdict, operator


def day(service: Service, shift: list[Answer], skip: str = "") -> None:
    """Judge and answer; an operator named `skip` looks at the parts and says nothing."""
    for frame_id, number, verdict, operator in shift:
        burr = number >= 690
        service.engine.judge(frame(frame_id, png(number, STEADY if burr else WORN, Flaw.BURR if burr else None)))
        if operator != skip:
            answers.record(service.engine.ledger, answers.answer(frame_id, verdict, operator), NOW_MS)


def without_limit(service: Service) -> None:
    """Let one lesson add as much as several."""
    memory = service.engine.settings.memory.model_copy(update={"lesson_patches": 10_000})
    service.engine.settings = service.engine.settings.model_copy(update={"memory": memory})


def learn(service: Service) -> Version:
    version = lesson.learn(service.engine, service.store, "test")
    assert isinstance(version, Version)
    return version


def revoke(service: Service, operator: str) -> Version:
    ids = revocation.answers_of(service.engine.ledger, (), operator, None, None)
    return revocation.revoke(service.engine, service.store, ids, "engineer", "careless")


@pytest.fixture
def other(service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams, tmp_path: Path) -> Service:
    """A second line, taught the same."""
    second = make_service(settings.model_copy(update={"state_dir": tmp_path / "other"}), extractor, wire)
    first = service.store.version(1)
    second.store.commit(
        service.store.load(first).snapshot,
        VersionDraft(
            parent=None,
            cause="teach",
            who="pytest",
            created_at=first.created_at,
            extractor=first.extractor,
            geometry=first.geometry,
            threshold=first.threshold,
            added=first.added,
        ),
    )
    second.start()
    return second


MORNING: list[Answer] = [
    ("g1", 600, "good", "anna"),
    ("p1", 690, "good", "bert"),
    ("p2", 690, "good", "bert"),
    ("g2", 601, "good", "anna"),
]
NOON: list[Answer] = [("d1", 691, "defect", "anna"), ("g3", 602, "good", "bert"), ("g4", 603, "good", "anna")]


def test_a_revoked_shift_leaves_what_would_be_had_it_never_taught(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blob for blob, also where lessons followed that built on it. The light is held still: in life, which frames it
    is followed by depends on which were flagged, and so on what was taught.
    """
    monkeypatch.setattr("drift.light.RATE", 0.0)
    without_limit(service)
    without_limit(other)
    day(service, MORNING)
    assert "p1" in learn(service).added
    day(service, NOON)
    learn(service)
    repaired = revoke(service, "bert")
    day(other, MORNING + NOON, skip="bert")
    never = learn(other)
    assert repaired.blobs == never.blobs
    assert repaired.threshold == never.threshold
    assert (repaired.cause, repaired.restores, repaired.revoked, repaired.who) == (
        "revocation",
        1,
        (2, 3, 6),
        "engineer",
    )
    assert {"p1", "g3"} <= set(repaired.removed)
    assert service.store.load(repaired).snapshot.confirmed_defects.samples == ("d1",)
    assert service.store.version(repaired.number).sha256 == repaired.sha256


def test_what_was_learned_before_is_the_ground_to_build_on(service: Service) -> None:
    day(service, MORNING[:1])
    before = learn(service)
    day(service, MORNING[1:])
    learn(service)
    repaired = revoke(service, "bert")
    assert repaired.restores == before.number
    assert repaired.spans == ((1, 4),)
    assert "g1" in service.store.load(repaired).snapshot.detector.samples


def test_a_poisoned_bank_finds_the_defect_again(service: Service) -> None:
    day(service, MORNING)
    learn(service)
    assert service.engine.judge(frame("same", png(690, STEADY, Flaw.BURR))).verdict == "OK"
    revoke(service, "bert")
    judged = service.engine.judge(frame("again", png(690, STEADY, Flaw.BURR)))
    assert (judged.verdict, judged.version) == ("NG", 3)


def test_a_revoked_defect_leaves_and_frees_what_was_refused_for_it(service: Service) -> None:
    day(service, [("wrong", 690, "defect", "bert"), ("right", 691, "defect", "anna")])
    learn(service)
    day(service, [("odd", 690, "good", "anna")])
    hold = lesson.learn(service.engine, service.store, "test")
    assert isinstance(hold, Hold)
    assert set_aside_of(service.engine.ledger, "odd")
    repaired = revoke(service, "bert")
    assert service.store.load(repaired).snapshot.confirmed_defects.samples == ("right",)


def test_what_a_rollback_undid_stays_undone(service: Service) -> None:
    day(service, [("g1", 600, "good", "anna")])
    learn(service)
    roll_back(service.store, service.engine.ledger, 1, "engineer", NOW_MS)
    service.notice_versions()
    day(service, [("g2", 601, "good", "anna"), ("g3", 602, "good", "bert")])
    learn(service)
    repaired = revoke(service, "bert")
    samples = service.store.load(repaired).snapshot.detector.samples
    assert "g2" in samples
    assert not {"g1", "g3"} & set(samples)
    day(service, [("g5", 604, "good", "anna"), ("g6", 605, "good", "carl")])
    learn(service)
    twice = revoke(service, "carl")
    assert {"g2", "g5"} <= set(service.store.load(twice).snapshot.detector.samples)


def test_revoked_answers_are_not_learned_later_either(service: Service) -> None:
    day(service, MORNING)
    ids = revocation.answers_of(service.engine.ledger, ("p1", "p2"), None, None, None)
    repaired = revocation.revoke(service.engine, service.store, ids, "engineer", "a slip")
    assert repaired.added == (), "nothing had been learned yet"
    assert "p1" not in learn(service).added


def test_a_clean_revocation_warns_of_nothing(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    day(service, MORNING[:1])
    learn(service)
    day(service, [("b1", 604, "good", "bert")])
    lesson.learn(service.engine, service.store, "test")
    capsys.readouterr()
    revoke(service, "anna")
    assert "warning" not in capsys.readouterr().out


def test_where_no_version_before_it_is_left_the_engineer_is_told(service: Service) -> None:
    day(service, MORNING)
    learn(service)
    first = service.store.version(1)
    (service.store._blobs / first.blobs["bank"]).unlink()  # a lost file
    with pytest.raises(StoreError, match="from before these answers"):
        revoke(service, "bert")
    assert service.store.newest_number() == 2


@pytest.mark.parametrize(("frames", "operator"), [((), None), (("nobody",), None), ((), "nobody")])
def test_revoking_nothing_is_told(service: Service, frames: tuple[str, ...], operator: str | None) -> None:
    with pytest.raises(DriftlineError):
        revocation.answers_of(service.engine.ledger, frames, operator, None, None)


def test_a_shift_is_a_span_of_time(service: Service) -> None:
    day(service, MORNING)
    ledger = service.engine.ledger
    assert revocation.answers_of(ledger, (), "anna", NOW_MS, NOW_MS) == (1, 4)
    with pytest.raises(DriftlineError, match="none by these"):
        revocation.answers_of(ledger, (), "anna", NOW_MS + 1, None)


def test_why_a_part_passed(service: Service) -> None:
    day(service, MORNING)
    learn(service)
    passed = service.engine.judge(frame("same", png(690, STEADY, Flaw.BURR)))
    (row,) = provenance.frames_of(service.engine.ledger, "part-same")
    assert row.seq == passed.seq
    reasons = provenance.why(service.store, service.engine.ledger, row)
    nearest = reasons["nearest_good_patch"]
    assert reasons["verdict"] == "OK"
    assert reasons["version"]["number"] == 2
    assert nearest["place"] >= 0
    assert nearest["admitted"]["number"] in {1, 2}
    taught = provenance.why(service.store, service.engine.ledger, _row(service, "p1"))
    assert taught["learned_by"] == [2]
    assert [a["operator"] for a in taught["answers"]] == ["bert"]
    day(service, [("burr", 695, "defect", "anna")])
    learn(service)
    remembered = _row(service, "burr")
    assert provenance.why(service.store, service.engine.ledger, remembered)["learned_by"] == [3]
    day(service, [("chip", 701, "defect", "anna")])
    learn(service)
    service.store.prune(keep=1, now=time.time() + 2 * REST_S)
    assert service.store.defects(service.store.version(3)) is None
    for name, version in (("burr", 3), ("chip", 4)):
        assert provenance.why(service.store, service.engine.ledger, _row(service, name))["learned_by"] == [version]
    revoke(service, "bert")
    assert provenance.why(service.store, service.engine.ledger, _row(service, "p1"))["answers"][0]["revoked_by"] == (
        "engineer"
    )


def test_every_patch_of_the_bank_is_found_at_its_place_in_its_own_image(service: Service) -> None:
    day(service, MORNING)
    bank = good_of(service.store.load(learn(service)).snapshot)
    seen = service.engine.view(_row(service, "g1"))
    assert seen is not None
    places = np.flatnonzero(bank.sample_index == bank.samples.index("g1"))
    assert len(places)
    assert np.array_equal(bank.vectors[places], seen.features.patches[bank.patch_index[places]])


def test_the_verdicts_another_version_would_have_given(service: Service) -> None:
    """By the bank that learned the burr it passes, by the taught one it does not; nothing is recorded."""
    day(service, MORNING)
    learn(service)
    before, after = (service.store.load(service.store.version(n)) for n in (1, 2))
    frames = len(rows(service.engine.ledger, "SELECT 1 FROM frames"))
    judged, differ = compare.changed(service.engine, before, after, 100, untracked)
    assert judged == frames == len(rows(service.engine.ledger, "SELECT 1 FROM frames"))
    verdicts = {d["frame_id"]: d["verdicts"] for d in differ}
    assert verdicts["p1"] == [Verdict.NG, Verdict.OK]
    recorded = {r["frame_id"]: r["score"] / r["threshold"] for r in rows(service.engine.ledger, "SELECT * FROM frames")}
    assert {d["frame_id"]: d["scores"][0] for d in differ} == {f: round(recorded[f], 3) for f in verdicts}
    assert compare.changed(service.engine, after, after, 2, untracked) == (2, [])


def test_an_unknown_name_is_told(service: Service) -> None:
    with pytest.raises(DriftlineError, match="judged frame or part"):
        provenance.frames_of(service.engine.ledger, "4711")


def test_an_older_ledger_is_brought_up_to_date_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as old:
        for statement in FIRST.split(";"):
            old.execute(statement)
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO status VALUES ('kept', '{}')")
        for name, source in (("i", "import"), ("l", "redis")):
            old.execute(
                "INSERT INTO frames (frame_id, part_id, source, judged_ms, verdict, reason, log_ratio,"
                " next_log_ratio, drift, asked, audited, timings, wire_id)"
                " VALUES (?, ?, ?, 1, 'NG', '', 0, 0, '{}', 1, 0, '{}', '')",
                (name, name, source),
            )
    old.close()
    ledger = Ledger(path)
    assert ledger.get_status("kept") == {}
    assert [row["nearest"] for row in rows(ledger, "SELECT nearest FROM frames")] == [None, None]
    assert [frame.frame_id for frame in newest_frames(ledger, 10)] == ["l"], "imports are told apart"
    assert revocations(ledger) == []
    ledger.close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    newer.close()
    with pytest.raises(StoreError, match="newer Driftline"):
        Ledger(path)


def _row(service: Service, frame_id: str) -> JudgedFrame:
    row = service.engine.ledger.frame(frame_id)
    assert row is not None
    return row


def test_the_commands_explain_and_take_back(
    service: Service,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day(service, MORNING)
    learn(service)
    config = tmp_path / "config.yaml"
    config.write_text(settings.model_dump_json())  # JSON is YAML
    code, reasons = call(capsys, monkeypatch, "why", "part-p1", "--config", config)
    assert (code, [t["learned_by"] for t in reasons]) == (0, [[2]])
    words = ("revoke", "--taught-by", "bert", "--since", "2026-01-01", "--reason", "x", "--config", config)
    code, revoked = call(capsys, monkeypatch, *words)
    assert (code, revoked["version"], revoked["rebuilt_from"], revoked["removed"]) == (0, 3, 1, ["p1"])
    service.notice_versions()
    assert service.engine.active is not None
    assert service.engine.active.model.version.number == 3
