"""What the ledger says of answers, and that its records lose nothing of what was written."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import fakeredis
import pytest
from conftest import rows
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.ledger import outbox
from daemon.ledger.answers import answers_on, drawn_defects, learnable_on, open_drawn, standing_on
from daemon.ledger.database import Database
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Box, Effect, JudgedFrame, NewAnswer, NewVerdict, RecordedAnswer, SceneRecord, Span
from daemon.streams import RedisStreams, Stream
from policies.verdict import Label, Verdict

FLAGGED = NewVerdict(
    frame_id="f",
    part_id="p",
    source="test",
    judged_ms=100,
    verdict=Verdict.NG,
    reason="score 2.000 above threshold 1.000",
    score=2.0,
    p_value=0.1 + 0.2,
    threshold=1.0,
    version=1,
    backend="torch",
    evidence={"at": [3, 4], "sample": "köln.png", "place": 7},
    reference="abc",
    drift={"trust": "stable", "regime": 5, "log_ratio": 1e-17},
    scene=SceneRecord(log_ratio=0.25, light=b"\0" * 24, taught_light=b"\0" * 24, signals=b"\1" * 8),
    image_sha256="0" * 64,
    kept="name",
    asked=True,
    trial=Verdict.OK,
    timings={"judge_ms": 1.5},
)

OPEN = "SELECT frame_id FROM open_reviews"
UNANSWERED = "SELECT frame_id FROM unanswered"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record_verdict(FLAGGED)
    return ledger


def say(
    ledger: Ledger, label: Label, operator: str, box: Box | None = None, effect: Effect = Effect.ACCEPTED
) -> RecordedAnswer:
    count = len(answers_on(ledger, "f"))
    answer = NewAnswer(
        key=str(count),
        frame_id="f",
        label=label,
        operator=operator,
        box=box,
        received_ms=count,
        effect=effect,
    )
    recorded = ledger.record_answer(answer)
    assert recorded is not None
    return recorded


def frames(ledger: Ledger, query: str) -> list[str]:
    return [row["frame_id"] for row in rows(ledger, query)]


def test_only_defects_that_were_drawn_at_random_tell_what_is_missed(ledger: Ledger) -> None:
    """Not those of another teach, those that nobody or somebody calls good, those that were asked about for their
    score, and those that were never on the line."""
    drawn = replace(FLAGGED, audited=True, score=0.5, verdict=Verdict.OK)
    others = {
        "drawn": drawn,
        "taught anew": replace(drawn, version=9),
        "good": drawn,
        "both": drawn,
        "open": drawn,
        "imported": replace(drawn, imported=True),
        "unscored": replace(drawn, score=None),
        "asked": FLAGGED,
    }
    for name, verdict in others.items():
        ledger.record_verdict(replace(verdict, frame_id=name))
    said = [(name, Label.DEFECT) for name in others if name not in {"good", "open"}]
    for key, (name, label) in enumerate([*said, ("good", Label.GOOD), ("both", Label.GOOD)]):
        ledger.record_answer(
            NewAnswer(
                key=str(key),
                frame_id=name,
                label=label,
                operator="anna" if label is Label.DEFECT else "bert",
                box=None,
                received_ms=key,
                effect=Effect.ACCEPTED,
            )
        )
    assert drawn_defects(ledger, {1, 2}) == {"drawn": 0.5}
    assert open_drawn(ledger, {1, 2}) == 2, "one without an answer, one with two"


def test_a_frame_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    recorded = ledger.frame("f")
    assert recorded == JudgedFrame(**vars(FLAGGED), seq=1, wire_id="100-1", published=False)
    assert recorded.regime == 5


def test_what_was_imported_is_never_published(ledger: Ledger) -> None:
    assert ledger.record_verdict(replace(FLAGGED, frame_id="i", imported=True)).published


def test_an_answer_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    answer = say(ledger, Label.DEFECT, "anna", (0.1, 0.2, 0.3, 1.0))
    assert (answer.box, answer.label, answer.revoked_by) == ((0.1, 0.2, 0.3, 1.0), Label.DEFECT, None)
    assert (
        ledger.record_answer(NewAnswer(**{name: getattr(answer, name) for name in NewAnswer.__annotations__})) is None
    )
    assert answers_on(ledger, "f") == [answer]


def test_an_operator_s_newest_answer_stands_until_it_is_revoked(ledger: Ledger) -> None:
    say(ledger, Label.GOOD, "anna")
    bert = say(ledger, Label.GOOD, "bert")
    anna = say(ledger, Label.DEFECT, "anna")
    assert standing_on(ledger, "f") == [bert, anna]
    ledger.revoke((anna.id,), 200, "engineer", "wrong part")
    assert [answer.id for answer in standing_on(ledger, "f")] == [1, 2], "what she said before stands again"
    assert [answer.revoked_by for answer in answers_on(ledger, "f")] == [None, None, "engineer"]


def test_what_stood_by_an_earlier_answer_is_known_in_the_order_of_first_words(ledger: Ledger) -> None:
    first, bert, anna = (
        say(ledger, label, operator)
        for label, operator in ((Label.GOOD, "anna"), (Label.GOOD, "bert"), (Label.DEFECT, "anna"))
    )
    assert learnable_on(ledger, "f", 2) == [first, bert]
    assert learnable_on(ledger, "f", 3) == [anna, bert]


def test_an_answer_that_came_too_late_replaces_none_that_came_in_time(ledger: Ledger) -> None:
    in_time = say(ledger, Label.GOOD, "anna")
    late = say(ledger, Label.DEFECT, "anna", effect=Effect.LATE)
    assert [answer.id for answer in learnable_on(ledger, "f", late.id)] == [in_time.id]


def test_a_part_is_open_for_review_until_an_answer_stands(ledger: Ledger) -> None:
    ledger.record_verdict(replace(FLAGGED, frame_id="passed", asked=False))
    ledger.record_verdict(replace(FLAGGED, frame_id="gone", kept=None))
    ledger.record_verdict(replace(FLAGGED, frame_id="unscored", score=None))
    ledger.record_verdict(replace(FLAGGED, frame_id="imported", imported=True))
    assert frames(ledger, OPEN) == ["f"]
    answer = say(ledger, Label.GOOD, "anna")
    assert frames(ledger, OPEN) == []
    ledger.revoke((answer.id,), 200, "engineer", "careless")
    assert frames(ledger, OPEN) == ["f"]
    assert "f" not in frames(ledger, UNANSWERED), "something was said of it, so its image stays"


def test_the_streams_carry_what_was_written_to_the_byte(ledger: Ledger) -> None:
    streams = RedisStreams(fakeredis.FakeRedis(protocol=2), "memory://", "driftline", "test")
    ledger.event(100, "hold", reason="fünf Teile", blamed=["f"], at=Path("x"))
    outbox.publish(ledger, streams)
    ((entry, verdict),) = streams.entries(Stream.VERDICTS)
    (row,) = rows(ledger, "SELECT * FROM frames")
    assert entry == row["wire_id"]
    assert {name: verdict[name].decode() for name in ("nearest", "drift", "timings")} == {
        "nearest": json.dumps(FLAGGED.evidence),
        "drift": row["drift"],
        "timings": row["timings"],
    }
    assert (verdict["asked"], verdict["p_value"], verdict["map"]) == (b"1", b"0.30000000000000004", b"name")
    ((_, event),) = streams.entries(Stream.EVENTS)
    assert event["detail"].decode() == rows(ledger, "SELECT detail FROM events")[0]["detail"]
    outbox.publish(ledger, streams)
    assert len(streams.entries(Stream.VERDICTS)) == 1, "what is published is marked"


def test_a_span_ends_with_its_last_answer() -> None:
    span = Span(after=2, through=4)
    assert [answer_id for answer_id in range(6) if answer_id in span] == [3, 4]


VERDICT = NewVerdict(frame_id="f", part_id="p", source="test", judged_ms=100, verdict=Verdict.OK, reason="")


def test_wire_ids_rise_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    times = [100, 100, 50, 200, 1]
    verdicts = [replace(VERDICT, frame_id=str(i), judged_ms=time_ms) for i, time_ms in enumerate(times)]
    ids = [ledger.record_verdict(verdict).wire_id for verdict in verdicts]
    assert ids == ["100-1", "100-2", "100-3", "200-4", "200-5"]


def test_a_frame_keeps_its_first_verdict_and_ids_have_no_gaps(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    first = ledger.record_verdict(VERDICT)
    assert ledger.record_verdict(replace(VERDICT, verdict=Verdict.NG)) == first
    assert ledger.record_verdict(replace(VERDICT, frame_id="g")).seq == 2
    assert Ledger(tmp_path / "ledger.sqlite").counts() == {"frames.OK": 2}


def test_a_failed_write_leaves_nothing_and_the_ledger_usable(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(Exception, match="NOT NULL"):
        ledger.record_verdict(replace(VERDICT, verdict=None))  # type: ignore[arg-type]  # broken on purpose
    assert ledger.frame("f") is None
    ledger.record_verdict(VERDICT)
    ledger.set_status("service", {"a": 1})
    assert ledger.get_status("service") == {"a": 1}
    assert ledger.get_status("nobody") is None


def test_a_ledger_of_today_is_opened_without_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that `driftline status` reads on a full disk."""
    Ledger(tmp_path / "ledger.sqlite").set_status("service", {"a": 1})

    def full(_: Database) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Database, "write", full)
    assert Ledger(tmp_path / "ledger.sqlite").get_status("service") == {"a": 1}


@given(st.lists(st.one_of(st.sampled_from(Effect), st.integers(1, 12)), max_size=12))
@settings(max_examples=40)
def test_a_part_is_open_until_the_newest_answer_counts_whatever_was_revoked(
    tmp_path_factory: pytest.TempPathFactory, story: list[Effect | int]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("story") / "ledger.sqlite")
    ledger.record_verdict(FLAGGED)
    for step in story:
        if isinstance(step, Effect):
            say(ledger, Label.GOOD, "anna", effect=step)
        elif step <= len(answers_on(ledger, "f")):
            ledger.revoke((step,), 200, "engineer", "wrong part")
    given = [answer for answer in answers_on(ledger, "f") if answer.revoked_by is None]
    telling = [answer for answer in given if answer.effect is not Effect.CHECK]
    answered = bool(telling) and telling[-1].effect is not Effect.UNCONFIRMED
    assert [row["frame_id"] for row in rows(ledger, OPEN)] == ([] if answered else ["f"])
    ledger.close()
