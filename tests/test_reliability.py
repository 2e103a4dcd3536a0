"""Operators' reliability: known parts among the questions, time to look, and what distrust changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from conftest import NOW_MS, frame
from hypothesis import given
from hypothesis import strategies as st
from lessons import answer, learn
from pictures import png

from daemon.cli.console import line_view
from daemon.console.checks import Checks
from daemon.console.reviews import AlreadyAnswered, Reviews
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers, reliability, revocation
from daemon.ledger import review_queue
from daemon.ledger.answers import answers_on, learnable_on, standing_on
from daemon.ledger.frame_list import ListedFrame, Search, frames_found
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
    wanted,
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
    view = line_view(settings, open_state(settings.state_dir), line.streams)
    return Reviews(view, Checks(view.state.ledger, EVERY))


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
    assert "bad0" not in asked(reviews, "anna"), "she has answered"
    (told,) = newest_events(ledger, ("feedback_check",), 9)
    assert told.detail == {"frame_id": "bad0", "operator": "anna", "verdict": "good"}


def check(line: Service, frame_id: str, label: str, operator: str, key: str | None = None) -> None:
    given = answers.answer(frame_id, label, operator, key=key, check=True)
    answers.record(line.engine.ledger, given, NOW_MS)


def test_one_person_s_word_against_another_s_tells_nothing_of_either(line: Service) -> None:
    ledger = line.engine.ledger
    answer(line, "bad0", "defect", "bert")
    check(line, "bad0", "good", "anna")
    assert track_record(ledger, "anna") == TrackRecord()
    check(line, "bad0", "defect", "carl")
    assert track_record(ledger, "anna") == TrackRecord(checks=1, agreed=0), "two others agree"
    assert track_record(ledger, "carl") == TrackRecord(), "the others differ"


def test_a_known_part_counts_once_however_often_it_is_answered(line: Service) -> None:
    answer(line, "bad0", "defect", "bert")
    check(line, "bad0", "defect", "carl")
    for key in ("first", "again"):
        check(line, "bad0", "good", "anna", key)
    assert track_record(line.engine.ledger, "anna") == TrackRecord(checks=1, agreed=0)


def known(line: Service, operator: str = "anna") -> list[tuple[str, Label]]:
    return [(each.frame.frame_id, each.label) for each in known_parts(line.engine.ledger, operator)]


def test_a_part_that_people_differ_on_is_not_known(line: Service) -> None:
    answer(line, "bad0", "defect", "bert")
    assert known(line) == [("bad0", Label.DEFECT)]
    answer(line, "bad0", "good", "carl")
    assert known(line) == []


def test_parts_of_which_more_people_have_spoken_come_first_and_whatever_the_verdict_was(line: Service) -> None:
    answer(line, "bad0", "good", "bert")
    answer(line, "bad1", "defect", "bert")
    check(line, "bad0", "good", "carl")
    assert known(line) == [("bad0", Label.GOOD), ("bad1", Label.DEFECT)]


def test_imported_parts_are_not_known(line: Service) -> None:
    line.engine.judge(replace(frame("import:scratch", png(630, STEADY, Flaw.BURR)), imported=True))
    answer(line, "import:scratch", "defect", "eva")
    assert known(line) == []


def test_defects_and_good_parts_are_shown_in_turn_also_after_twenty() -> None:
    assert [wanted(shown) for shown in (0, 1, 20, 21)] == [Label.DEFECT, Label.GOOD, Label.DEFECT, Label.GOOD]


def test_the_part_shown_stays_while_others_answer(reviews: Reviews, line: Service) -> None:
    send(reviews, line, "bad0", "defect", "bert")
    for name in ("bad1", "bad2"):
        send(reviews, line, name, "defect", "anna")
    assert "bad0" in asked(reviews, "anna")
    send(reviews, line, "bad3", "defect", "bert")
    send(reviews, line, "bad4", "defect", "anna")
    assert "bad0" in asked(reviews, "anna"), "newer known parts do not take its place"
    send(reviews, line, "bad0", "defect", "anna")
    assert [one.effect for one in answers_on(line.engine.ledger, "bad0")][-1] is Effect.CHECK


def test_an_answer_that_is_sent_again_is_taken_again(reviews: Reviews, line: Service) -> None:
    send(reviews, line, "bad0", "defect", "bert")
    for name in ("bad1", "bad2"):
        send(reviews, line, name, "defect", "anna")
    assert "bad0" in asked(reviews, "anna")
    given = answers.answer("bad0", "defect", "anna", key="k")
    reviews.answer(given, despite=False)
    assert "bad0" not in asked(reviews, "anna"), "its answer is on its way"
    line.turn(0)
    reviews.answer(given, despite=False)
    line.turn(0)
    assert [one.key for one in answers_on(line.engine.ledger, "bad0")] == ["bad0|bert|defect", "k"]


def test_no_known_part_is_shown_while_the_answer_to_the_last_is_on_its_way(reviews: Reviews, line: Service) -> None:
    for name in ("bad0", "bad3"):
        send(reviews, line, name, "defect", "bert")
    for name in ("bad1", "bad2"):
        send(reviews, line, name, "defect", "anna")
    (shown,) = {"bad0", "bad3"} & set(asked(reviews, "anna"))
    reviews.answer(answers.answer(shown, "defect", "anna"), despite=False)
    assert not {"bad0", "bad3"} & set(asked(reviews, "anna"))


def test_an_answer_about_another_known_part_is_no_check(reviews: Reviews, line: Service) -> None:
    for name in ("bad0", "bad3"):
        send(reviews, line, name, "defect", "bert")
    for name in ("bad1", "bad2"):
        send(reviews, line, name, "defect", "anna")
    (other,) = {"bad0", "bad3"} - set(asked(reviews, "anna"))
    with pytest.raises(AlreadyAnswered):
        reviews.answer(answers.answer(other, "good", "anna"), despite=False)


def test_a_passed_part_comes_among_passed_ones(reviews: Reviews, line: Service) -> None:
    listed = reviews.queue(100, None)
    frames = [listed_frame_of(line, each["frame_id"]) for each in listed]
    passed = replace(frames[0], frame_id="passed", verdict=Verdict.OK)
    checks = Checks(line.engine.ledger, EVERY)
    answer(line, "bad0", "defect", "bert")
    for name in ("bad1", "bad2"):
        answer(line, name, "defect", "anna")
    asked_now = [*frames[3:], replace(passed, frame_id="open")]
    places = [one.frame_id for one in checks.among(asked_now, "anna")]
    assert places.index("bad0") < 3
    assert places[-1] == "open"


def listed_frame_of(line: Service, frame_id: str) -> ListedFrame:
    (found,) = [one for one in frames_found(line.engine.ledger, Search(), 100) if one.frame_id == frame_id]
    return found


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
    """Anna passes two parts that two others call defects."""
    for name in ("bad0", "bad1"):
        answer(line, name, "defect", "bert")
        check(line, name, "defect", "carl")
        check(line, name, "good", "anna")


def test_who_loses_trust_by_another_s_word_is_told(line: Service) -> None:
    for name in ("bad0", "bad1"):
        answer(line, name, "defect", "bert")
        check(line, name, "good", "anna")
        check(line, name, "defect", "carl")
    (told,) = newest_events(line.engine.ledger, ("operator_distrusted",), 9)
    assert told.detail["operator"] == "anna"


def test_distrusted_answers_wait_for_a_second_person(reviews: Reviews, line: Service) -> None:
    ledger = line.engine.ledger
    distrust_anna(line)
    assert reliability.all_distrusted(ledger) == {"anna": "0 of the last 2 known parts were answered as others agree"}
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
    check(line, "bad3", "defect", "carl")
    check(line, "bad3", "defect", "anna")
    assert reliability.all_distrusted(ledger) == {}, "1 of 3 may be chance"
    assert len(newest_events(ledger, ("operator_trusted",), 9)) == 1
    assert "bad2" in asked(reviews, "anna"), "she may look again at what nobody has confirmed"


def test_revoking_the_known_parts_gives_trust_back_and_makes_no_version(line: Service) -> None:
    ledger = line.engine.ledger
    distrust_anna(line)
    head = learn(line)
    assert isinstance(head, Version)
    hers = tuple(one.id for one in answers_on(ledger, "bad0") if one.operator == "anna")
    assert revocation.revoke(line.engine, line.store, hers, "eva", "unfair").number == head.number
    assert line.store.newest_number() == head.number
    assert reliability.all_distrusted(ledger) == {}


def test_a_known_part_that_people_differ_on_by_now_counts_no_more(line: Service) -> None:
    distrust_anna(line)
    answer(line, "bad0", "good", "dora")
    assert track_record(line.engine.ledger, "anna") == TrackRecord(checks=1, agreed=0)


def test_a_distrusted_word_on_a_part_that_nobody_was_asked_about_is_asked_about(
    line: Service, reviews: Reviews
) -> None:
    ledger = line.engine.ledger
    distrust_anna(line)
    policy = line.engine.settings.policy.model_copy(update={"asks_per_hour": 0, "audit_share": 0.0})
    line.engine.settings = line.engine.settings.model_copy(update={"policy": policy})
    quiet = line.engine.judge(frame("quiet", png(640, STEADY, Flaw.BURR)))
    assert not quiet.asked
    answer(line, "quiet", "good", "anna")
    assert "quiet" in asked(reviews, "bert")
    answer(line, "bad5", "defect", "dora")
    answer(line, "bad5", "good", "anna")
    assert "bad5" in asked(reviews, "bert"), "she contradicts: somebody should look"
    send(reviews, line, "bad5", "defect", "bert")
    assert "bad5" not in asked(reviews, "carl")
    assert [one.operator for one in learnable_on(ledger, "bad5", 2**62)] == ["dora", "bert"]


def test_imports_do_not_wait(line: Service) -> None:
    distrust_anna(line)
    line.engine.judge(replace(frame("import:scratch", png(630, STEADY, Flaw.BURR)), imported=True))
    recorded = answer(line, "import:scratch", "defect", "anna")
    assert recorded is not None
    assert recorded.effect is Effect.ACCEPTED


def test_who_only_was_checked_is_no_teacher(line: Service) -> None:
    answer(line, "bad0", "defect", "bert")
    check(line, "bad0", "defect", "carl")
    learned = learn(line)
    assert isinstance(learned, Version)
    assert learned.who == "bert"


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
