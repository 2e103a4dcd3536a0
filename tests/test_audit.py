"""The audit log: every change is in it, and whoever alters the record is found out."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from commands import call
from conftest import NOW_MS, frame
from hypothesis import given
from hypothesis import strategies as st
from pictures import png

from daemon.cli.run import audited
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers, lesson, operating_point
from daemon.learning.rollback import roll_back
from daemon.ledger.audit_log import AuditFilter, entries, note_settings
from daemon.ledger.chain import digest_of
from daemon.ledger.proof import verify
from daemon.ledger.state import State, open_state
from daemon.reporting.audit import csv_lines, json_lines
from daemon.service import Service
from daemon.settings.load import Settings
from memory.version import Version


@pytest.fixture
def grown(service: Service, settings: Settings) -> State:
    """A line that has judged, was answered, has learned, went back, and whose rate was changed."""
    engine, ledger = service.engine, service.engine.ledger
    engine.judge(replace(frame("bad", png(610, STEADY, Flaw.BURR)), part_id="4711"))
    engine.judge(frame("good", png(500)))
    answers.record(ledger, answers.answer("bad", "defect", "anna", "[0.1, 0.1, 0.5, 0.5]"), NOW_MS)
    answers.record(ledger, answers.answer("good", "good", "bert"), NOW_MS + 1)
    assert isinstance(lesson.learn(engine, service.store, "admission"), Version)
    ledger.revoke((2,), NOW_MS + 2, "eva", "careless")
    ledger.quarantine(("good",), NOW_MS + 3, "like a defect")
    operating_point.change(service.store.current(), service.store, ledger, 0.2, 0.1, "eva", NOW_MS + 4)
    roll_back(service.store, ledger, 1, "eva", NOW_MS + 5)
    return open_state(settings.state_dir)


def test_every_change_is_in_the_log_and_the_log_is_whole(grown: State) -> None:
    log = list(entries(grown.ledger, AuditFilter()))
    assert [(e.kind, e.who, e.what) for e in log] == [
        ("version", "pytest", "1"),
        ("answer", "anna", "bad"),
        ("answer", "bert", "good"),
        ("version", "anna, bert", "2"),
        ("revocation", "eva", "good"),
        ("set aside", "gate", "good"),
        ("version", "eva", "3"),
        ("version", "eva", "4"),
    ]
    proof = verify(grown)
    assert (proof.entries, proof.digest, proof.faults) == (8, log[-1].digest, ())
    assert verify(grown, log[3].digest).faults == (), "a digest that was noted earlier is in it"
    (fault,) = verify(grown, "0" * 64).faults
    assert "was cut" in fault


def test_a_changed_rate_is_told_with_the_old_and_the_new(grown: State) -> None:
    (_, learned, changed, _) = (json.loads(e.detail) for e in entries(grown.ledger, AuditFilter(kind="version")))
    assert changed["cause"] == "threshold"
    assert changed["was"] == {"threshold": learned["threshold"], "rate": learned["rate"]}
    assert changed["rate"] > learned["rate"]


ALTERED = {
    "an answer's verdict": "UPDATE feedback SET verdict = 'good' WHERE id = 1",
    "an answer's operator": "UPDATE feedback SET operator = 'carl' WHERE id = 1",
    "an answer that is gone": "DELETE FROM feedback WHERE id = 2",
    "an answer put in": "INSERT INTO feedback (key, frame_id, verdict, operator, received_ms, effect)"
    " VALUES ('k', 'good', 'good', 'anna', 7, 'accepted')",
    "a revocation that is gone": "DELETE FROM revoked",
    "an entry's person": "UPDATE audit SET who = 'carl' WHERE id = 3",
    "an entry's time": "UPDATE audit SET at_ms = at_ms + 1 WHERE id = 3",
    "an entry that is gone": "DELETE FROM audit WHERE id = 4",
    "an entry that is gone, the others renumbered": "DELETE FROM audit WHERE id = 4;"
    " UPDATE audit SET id = id - 1 WHERE id > 4",
    "the first entry": "DELETE FROM audit WHERE id = 1",
    "an emptied log": "DELETE FROM audit",
    "an answer altered and the log emptied": "UPDATE feedback SET operator = 'carl' WHERE id = 1; DELETE FROM audit",
    "an entry that is no JSON": "UPDATE audit SET detail = 'x' WHERE kind = 'answer'",
    "two entries in the other's place": "UPDATE audit SET id = 99 WHERE id = 2; UPDATE audit SET id = 2 WHERE id = 3;"
    " UPDATE audit SET id = 3 WHERE id = 99",
}


@pytest.mark.parametrize("script", ALTERED.values(), ids=list(ALTERED))
def test_whatever_is_altered_is_found(grown: State, script: str, settings: Settings) -> None:
    with sqlite3.connect(settings.state_dir / "ledger.sqlite") as other:
        other.executescript(script)
    assert verify(grown).faults
    assert verify(open_state(settings.state_dir)).faults, "whoever opens it mends nothing"


def test_a_log_that_was_written_anew_is_found_by_a_digest_that_was_noted(grown: State, settings: Settings) -> None:
    """Whoever can write the file can chain it anew: that is what noting a digest elsewhere is for."""
    noted = verify(grown).digest
    with sqlite3.connect(settings.state_dir / "ledger.sqlite") as other:
        other.row_factory = sqlite3.Row
        other.execute("UPDATE feedback SET operator = 'carl' WHERE id = 1")
        before = ""
        for row in other.execute("SELECT * FROM audit ORDER BY id").fetchall():
            who = "carl" if row["what"] == "bad" else row["who"]
            before = digest_of(before, row["id"], row["at_ms"], row["kind"], who, row["what"], row["detail"])
            other.execute("UPDATE audit SET who = ?, digest = ? WHERE id = ?", (who, before, row["id"]))
    assert verify(grown).faults == ()
    assert verify(grown, noted).faults


def test_a_version_s_manifest_that_was_exchanged_is_found(grown: State, settings: Settings) -> None:
    manifests = sorted((settings.state_dir / "store").rglob("000003.json"))
    manifest = grown.store.version(3)
    manifests[0].write_bytes(replace(manifest, who="carl").encode())
    assert any("version 3" in fault for fault in verify(open_state(settings.state_dir)).faults)


def test_a_version_whose_manifest_is_gone_is_found(grown: State, settings: Settings) -> None:
    (manifest,) = (settings.state_dir / "store").rglob("000003.json")
    manifest.unlink()
    (fault,) = verify(open_state(settings.state_dir)).faults
    assert fault == "version 3, which the log tells, has no manifest any more"
    assert grown.store.newest_number() == 4


def test_a_line_that_goes_on_meanwhile_is_no_fault(grown: State, service: Service) -> None:
    ended = threading.Event()

    def answering() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            answers.record(service.engine.ledger, answers.answer("good", "good", f"operator {number}"), NOW_MS)

    thread = threading.Thread(target=answering)
    thread.start()
    try:
        faults = [verify(grown).faults for _ in range(30)]
    finally:
        ended.set()
        thread.join()
    assert faults == [()] * 30


def test_who_opens_an_older_ledger_at_once_chains_it_once(tmp_path: Path) -> None:
    for turn in range(3):
        state = tmp_path / str(turn)
        shutil.copytree(Path(__file__).parent / "golden_states" / "ledger-11" / "state", state)
        with ThreadPoolExecutor(4) as starting:
            opened = list(starting.map(open_state, [state] * 4))
        assert verify(opened[0]).faults == ()


@given(st.lists(st.tuples(*[st.text(max_size=5)] * 4), min_size=2, max_size=2, unique=True))
def test_no_two_entries_share_a_digest(pair: list[tuple[str, str, str, str]]) -> None:
    """Where one field ends and the next begins counts."""
    digests = {digest_of("", 1, 0, kind, who, what, detail) for kind, who, what, detail in pair}
    assert len(digests) == 2


def test_the_log_is_filtered_by_time_person_kind_and_part(grown: State) -> None:
    def numbers(**wanted: object) -> list[int]:
        return [entry.id for entry in entries(grown.ledger, AuditFilter(**wanted))]  # type: ignore[arg-type]

    assert numbers(who="eva") == [5, 7, 8]
    assert numbers(kind="answer") == [2, 3]
    assert numbers(what="4711") == [2], "a part's frames"
    assert numbers(what="good") == [3, 5, 6]
    assert numbers(what="2") == [4]
    assert numbers(since_ms=NOW_MS + 2, until_ms=NOW_MS + 3) == [5, 6]


def test_no_formula_reaches_a_spreadsheet(service: Service) -> None:
    service.engine.judge(frame("good", png(500)))
    answers.record(service.engine.ledger, answers.answer("good", "good", "=cmd()"), NOW_MS)
    log = list(entries(service.engine.ledger, AuditFilter()))
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(log)))))
    assert [row["who"] for row in rows] == ["pytest", "'=cmd()"]
    assert [json.loads(line)["who"] for line in json_lines(log)] == ["pytest", "=cmd()"]


def test_settings_are_told_when_they_change_and_only_then(service: Service, settings: Settings) -> None:
    ledger = service.engine.ledger

    def told() -> list[dict[str, object]]:
        return [json.loads(e.detail)["changed"] for e in entries(ledger, AuditFilter(kind="settings"))]

    for _ in range(2):
        note_settings(ledger, NOW_MS, audited(settings))
    assert told() == [{}]
    policy = settings.policy.model_copy(update={"false_reject_rate": 0.05})
    note_settings(ledger, NOW_MS, audited(settings.model_copy(update={"policy": policy})))
    assert told()[1] == {"policy.false_reject_rate": [0.1, 0.05]}
    source = settings.source.model_copy(update={"camera": "rtsp://anna:secret@camera/1"})
    note_settings(ledger, NOW_MS, audited(settings.model_copy(update={"source": source})))
    assert "secret" not in "".join(e.detail for e in entries(ledger, AuditFilter()))


def test_an_older_ledger_is_chained_once_as_it_stands(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "golden_states" / "ledger-11" / "state", tmp_path / "state")
    state = open_state(tmp_path / "state")
    log = list(entries(state.ledger, AuditFilter()))
    assert {entry.kind for entry in log} == {"version", "answer"}
    assert all(json.loads(entry.detail)["adopted"] for entry in log)
    assert sorted(entry.at_ms for entry in log) == [entry.at_ms for entry in log]
    assert verify(state).faults == ()
    state.ledger.close()
    assert list(entries(open_state(tmp_path / "state").ledger, AuditFilter())) == log


@pytest.mark.usefixtures("grown")
def test_the_commands_show_and_prove(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    where = ("--set", f"state_dir={settings.state_dir}")
    code, shown = call(capsys, monkeypatch, "audit", "show", "--who", "eva", "--since", "2020-01-01", *where)
    assert (code, [one["number"] for one in shown]) == (0, [5, 7, 8])
    code, proof = call(capsys, monkeypatch, "audit", "verify", *where)
    assert (code, proof["faults"]) == (0, [])
    code, _ = call(capsys, monkeypatch, "audit", "verify", "--digest", proof["digest"], *where)
    assert code == 0
    code, found = call(capsys, monkeypatch, "audit", "verify", "--digest", "f" * 64, *where)
    assert (code, len(found["faults"])) == (1, 1)
