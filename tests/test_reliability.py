"""Operators' reliability: known parts among the questions, time to look, and what distrust changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from conftest import NOW_MS, frame
from hypothesis import given
from hypothesis import strategies as st
from lessons import answer, learn
from pictures import png

from daemon.cli.console import line_view
from daemon.console.reviews import AlreadyAnswered, Reviews
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers, reliability
from daemon.ledger import review_queue
from daemon.ledger.answers import answers_on, learnable_on, standing_on
from daemon.ledger.history import newest_events
from daemon.ledger.operators import known_parts, track_record
from daemon.ledger.records import Effect
from daemon.ledger.state import open_state
from daemon.reporting.report import render
from daemon.service import Service
from daemon.settings.load import Settings
from memory.version import Version
from policies.reliability import (
    EVERY_WHILE_DISTRUSTED,
    NEWEST_CHECKS,
    NEWEST_LOOKS,
    SHORTEST_LOOK_MS,
    Look,
    TrackRecord,
    check_due,
    distrust,
)
from policies.verdict import Label, Verdict

EVERY = 3


def looks(count: int, looked_ms: int, label: Label = Label.GOOD) -> list[Look]:
    return [Look(label, looked_ms)] * count


@pytest.mark.parametrize(
    ("checks", "agreed", "distrusted"),
    [
        (0, 0, False),
        (1, 0, False),
        (2, 0, True),
        (2, 1, False),
        (3, 1, False),
        (4, 1, True),
        (20, 13, False),
        (20, 12, True),
    ],
)
def test_known_parts_answered_otherwise_cost_trust(checks: int, agreed: int, distrusted: bool) -> None:
    assert bool(distrust(TrackRecord(checks, agreed))) is distrusted


@given(st.integers(0, NEWEST_CHECKS), st.data())
def test_who_agrees_more_is_trusted_no_less(checks: int, data: st.DataObject) -> None:
    agreed = data.draw(st.integers(0, checks))
    if not distrust(TrackRecord(checks, agreed)):
        assert not any(distrust(TrackRecord(checks, more)) for more in range(agreed, checks + 1))


@pytest.mark.parametrize(
    ("seen", "distrusted"),
    [
        (looks(NEWEST_LOOKS, SHORTEST_LOOK_MS - 1), True),
        (looks(NEWEST_LOOKS, SHORTEST_LOOK_MS), False),
        (looks(NEWEST_LOOKS - 1, 10), False),
        ([*looks(NEWEST_LOOKS - 1, 10), Look(Label.DEFECT, 10)], False),
        (looks(NEWEST_LOOKS, 10, Label.DEFECT), True),
    ],
)
def test_thirty_quick_answers_alike_cost_trust(seen: Sequence[Look], distrusted: bool) -> None:
    assert bool(distrust(TrackRecord(looks=seen))) is distrusted


def test_known_parts_come_among_so_many_answers_and_more_often_under_distrust() -> None:
    trusted, unsure = TrackRecord(), TrackRecord(checks=2, agreed=0)
    assert [check_due(since, trusted, 20) for since in (18, 19, 20)] == [False, True, True]
    assert check_due(EVERY_WHILE_DISTRUSTED - 1, unsure, 20)
    assert not check_due(1000, unsure, 0), "none are wanted"


@pytest.fixture
def line(service: Service) -> Service:
    """A line that has judged defects, and asks about them all."""
    for number in range(8):
        judged = service.engine.judge(frame(f"bad{number}", png(610 + number, STEADY, Flaw.BURR)))
        assert judged.verdict is Verdict.NG
    return service


@pytest.fixture
def reviews(line: Service, settings: Settings) -> Reviews:
    """The console's reviews of the line, a known part among three answers."""
    policy = settings.policy.model_copy(update={"known_part_every": EVERY})
    changed = settings.model_copy(update={"policy": policy})
    return Reviews(line_view(changed, open_state(settings.state_dir), line.streams))


def send(reviews: Reviews, line: Service, frame_id: str, verdict: str, operator: str) -> None:
    reviews.answer(answers.answer(frame_id, verdict, operator), despite=False)
    line.turn(0)


def asked(reviews: Reviews, operator: str | None) -> list[str]:
    return [each["frame_id"] for each in reviews.queue(100, operator)]


def test_a_known_part_is_asked_again_and_teaches_nothing(reviews: Reviews, line: Service) -> None:
    send(reviews, line, "bad0", "defect", "bert")
    assert "bad0" not in asked(reviews, "anna"), "none is due yet"
    for name in ("bad1", "bad2"):
        send(reviews, line, name, "defect", "anna")
    queue = reviews.queue(100, "anna")
    (known,) = [each for each in queue if each["frame_id"] == "bad0"]
    assert {each["asked"] for each in queue} == {1}, "nothing tells it from the other questions"
    assert queue.index(known) < 3
    assert "bad0" not in asked(reviews, "bert"), "he has answered for it"
    assert "bad0" not in asked(reviews, None), "who only looks is not checked"
    send(reviews, line, "bad0", "good", "anna")
    ledger = line.engine.ledger
    assert [(one.operator, one.effect) for one in answers_on(ledger, "bad0")] == [
        ("bert", Effect.ACCEPTED),
        ("anna", Effect.CHECK),
    ]
    assert [one.operator for one in standing_on(ledger, "bad0")] == ["bert"]
    assert [one.operator for one in learnable_on(ledger, "bad0", 2**62)] == ["bert"]
    assert track_record(ledger, "anna") == TrackRecord(checks=1, agreed=0)
    assert "bad0" not in asked(reviews, "anna"), "she has answered"
    (told,) = newest_events(ledger, ("feedback_check",), 9)
    assert told.detail == {"frame_id": "bad0", "operator": "anna", "verdict": "good"}


def test_a_part_that_people_differ_on_is_not_known(line: Service) -> None:
    ledger = line.engine.ledger
    answer(line, "bad0", "defect", "bert")
    assert [part.frame_id for part in known_parts(ledger, "anna").values()] == ["bad0"]
    answer(line, "bad0", "good", "carl")
    assert known_parts(ledger, "anna") == {}


def test_a_part_is_known_only_where_the_verdict_agrees(line: Service) -> None:
    answer(line, "bad0", "good", "bert")
    assert known_parts(line.engine.ledger, "anna") == {}


def test_good_and_bad_parts_are_known(line: Service) -> None:
    good = next(
        judged
        for number in range(500, 540)
        if (judged := line.engine.judge(frame(f"good{number}", png(number)))).verdict is Verdict.OK
        and (judged.p_value or 0) >= 0.5
        and judged.kept
    )
    answer(line, good.frame_id, "good", "bert")
    answer(line, "bad0", "defect", "bert")
    assert {label: part.frame_id for label, part in known_parts(line.engine.ledger, "anna").items()} == {
        Label.GOOD: good.frame_id,
        Label.DEFECT: "bad0",
    }


def test_an_answer_by_another_way_is_no_check(reviews: Reviews, line: Service) -> None:
    send(reviews, line, "bad0", "defect", "bert")
    for name in ("bad1", "bad2"):
        send(reviews, line, name, "defect", "anna")
    reviews.answer(answers.answer("bad0", "good", "anna"), despite=True)
    line.turn(0)
    assert [one.effect for one in answers_on(line.engine.ledger, "bad0")] == [Effect.ACCEPTED, Effect.CONTRADICTION]


def test_a_check_that_nobody_else_answered_is_an_answer(line: Service) -> None:
    given = answers.answer("bad0", "defect", "anna", check=True)
    recorded = answers.record(line.engine.ledger, given, NOW_MS)
    assert recorded is not None
    assert recorded.effect is Effect.ACCEPTED


def distrust_anna(line: Service) -> None:
    """Anna passes two known defects."""
    for name in ("bad0", "bad1"):
        answer(line, name, "defect", "bert")
        answers.record(line.engine.ledger, answers.answer(name, "good", "anna", check=True), NOW_MS)


def test_distrusted_answers_wait_for_a_second_person(reviews: Reviews, line: Service) -> None:
    ledger = line.engine.ledger
    distrust_anna(line)
    assert reliability.all_distrusted(ledger) == {
        "anna": "0 of the last 2 known parts were answered as people had agreed"
    }
    (told,) = newest_events(ledger, ("operator_distrusted",), 9)
    assert told.detail["operator"] == "anna"
    send(reviews, line, "bad2", "good", "anna")
    (unconfirmed,) = answers_on(ledger, "bad2")
    assert unconfirmed.effect is Effect.UNCONFIRMED
    assert standing_on(ledger, "bad2") == learnable_on(ledger, "bad2", 2**62) == []
    assert "bad2" not in asked(reviews, "anna")
    assert "bad2" in asked(reviews, "bert")
    assert "bad2" in [one.frame_id for one in review_queue.open_for_review(ledger, 100)]
    send(reviews, line, "bad2", "defect", "bert")
    assert [one.effect for one in answers_on(ledger, "bad2")][-1] is Effect.ACCEPTED, "hers does not stand against it"
    assert "bad2" not in asked(reviews, "carl")
    learned = learn(line)
    assert isinstance(learned, Version)
    page = render(line.engine, line.store, "report")
    assert f"<td>{reliability.distrusted(ledger, 'anna')}</td>" in page
    assert "v1, told good" not in page, "what waits is not told as true"
    assert {defect.sample for defect in line.store.load(learned).snapshot.confirmed_defects.defects} == {
        "bad0",
        "bad1",
        "bad2",
    }


def test_an_earlier_answer_stands_when_a_distrusted_one_would_replace_it(line: Service) -> None:
    answer(line, "bad2", "defect", "anna")
    distrust_anna(line)
    answer(line, "bad2", "good", "anna")
    (standing,) = standing_on(line.engine.ledger, "bad2")
    assert standing.label is Label.DEFECT


def test_trust_comes_back_with_known_parts_and_is_told(reviews: Reviews, line: Service) -> None:
    ledger = line.engine.ledger
    distrust_anna(line)
    send(reviews, line, "bad2", "good", "anna")
    answer(line, "bad3", "defect", "bert")
    answers.record(ledger, answers.answer("bad3", "defect", "anna", check=True), NOW_MS)
    assert reliability.all_distrusted(ledger) == {}, "1 of 3 may be chance"
    assert len(newest_events(ledger, ("operator_trusted",), 9)) == 1
    assert "bad2" in asked(reviews, "anna"), "she may look again at what nobody has confirmed"


def test_revoking_the_known_parts_gives_trust_back(line: Service) -> None:
    ledger = line.engine.ledger
    distrust_anna(line)
    ledger.revoke(
        tuple(one.id for one in answers_on(ledger, "bad0") if one.operator == "anna"), NOW_MS, "eva", "unfair"
    )
    assert reliability.all_distrusted(ledger) == {}


def test_a_known_part_that_turned_out_otherwise_counts_no_more(line: Service) -> None:
    ledger = line.engine.ledger
    distrust_anna(line)
    answer(line, "bad0", "good", "carl")
    assert track_record(ledger, "anna") == TrackRecord(checks=1, agreed=0)


def test_how_long_a_part_was_looked_at_comes_over_the_stream(line: Service) -> None:
    line.streams.send("feedback", answers.answer("bad0", "defect", "anna", looked_ms="730").fields())
    line.turn(0)
    assert [one.looked_ms for one in answers_on(line.engine.ledger, "bad0")] == [730]
    assert track_record(line.engine.ledger, "anna").looks == (Look(Label.DEFECT, 730),)


@pytest.mark.parametrize("looked_ms", ["", "-1", "1.5", "soon", "9" * 10])
def test_a_time_that_is_none_is_refused(looked_ms: str) -> None:
    with pytest.raises(answers.FeedbackRejected, match="looked_ms"):
        answers.answer("f", "good", "anna", looked_ms=looked_ms)


def test_another_s_answer_is_still_told(reviews: Reviews, line: Service) -> None:
    send(reviews, line, "bad0", "defect", "bert")
    with pytest.raises(AlreadyAnswered, match="bert"):
        reviews.answer(answers.answer("bad0", "good", "anna"), despite=False)
