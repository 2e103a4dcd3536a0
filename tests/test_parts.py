"""Parts are looked up, answered for by their own id, and answers about them taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import NOW_MS, frame
from fastapi.testclient import TestClient
from pictures import png

from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers, feedback, lesson
from daemon.ledger.answers import every_answer, standing_on
from daemon.ledger.history import newest_events
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from memory.version import Version
from policies.admission import Hold
from policies.ask import question
from policies.verdict import Verdict

HERE = "http://127.0.0.1"


@pytest.fixture
def client(service: Service, settings: Settings, wire: RedisStreams) -> Iterator[TestClient]:
    """A console before a line that judged part 4711 by two cameras, part 4712, and an escape."""
    for frame_id, part_id, number, flaw in (
        ("left", "4711", 500, None),
        ("right", "4711", 501, None),
        ("f3", "4712", 502, None),
        ("f4", "4713", 610, Flaw.BURR),
    ):
        service.engine.judge(replace(frame(frame_id, png(number, STEADY, flaw)), part_id=part_id))
    view = line_view(settings, open_state(settings.state_dir), wire)
    with TestClient(application(view, access(ConsoleSettings())), base_url=HERE, follow_redirects=False) as browser:
        yield browser


def found(client: TestClient, **wanted: object) -> list[str]:
    params = {name: str(value) for name, value in wanted.items()}
    return [one["frame_id"] for one in client.get("/api/frames", params=params).json()]


def test_parts_are_found_by_id_time_verdict_and_missing_answer(client: TestClient, service: Service) -> None:
    assert found(client, name="471") == ["f4", "f3", "right", "left"]
    assert found(client, name="4711") == ["right", "left"]
    assert found(client, name="lef") == ["left"]
    assert found(client, name="eft") == [], "an id is looked for from its beginning"
    assert found(client, name="47%") == []
    assert found(client, name="471", verdict="NG") == ["f4"]
    assert found(client, name="471", verdict="") == found(client)
    times = [one["judged_ms"] for one in client.get("/api/frames").json()]
    assert found(client, until_ms=min(times) - 1) == []
    assert found(client, until_ms=max(times)) == ["f4", "f3", "right", "left"]
    answers.record(service.engine.ledger, answers.answer("f4", "defect", "anna"), NOW_MS)
    assert found(client, unanswered="true") == ["f3", "right", "left"]


def test_the_one_part_that_is_found_opens(client: TestClient) -> None:
    assert client.get("/parts", params={"name": "4712"}).headers["location"] == "/parts/3"
    assert client.get("/parts", params={"name": "4711"}).status_code == 200
    page = client.get("/parts/1", headers={"Accept": "text/html"}).text
    for words in ("4711", "frame left", "parts/2", "Nobody has answered for it", "those of the taught parts"):
        assert words in page
    missing = client.get("/parts/99", headers={"Accept": "text/html"})
    assert missing.status_code == 404
    assert "look it up on Parts" in missing.text


def test_older_parts_are_a_page_away(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.console.pages.PARTS_A_PAGE", 3)
    first = client.get("/parts?name=&verdict=OK").text
    assert "before=" not in first, "three were passed"
    assert "before=2" in client.get("/parts").text
    assert 'href="parts/1"' in client.get("/parts?before=2").text


@pytest.mark.usefixtures("client")
def test_an_escape_is_reported_by_the_part_s_id(service: Service) -> None:
    service.streams.send("feedback", {"part_id": "4712", "verdict": "defect", "operator": "customer"})
    service.streams.send("feedback", {"frame_id": "4712", "verdict": "defect", "operator": "anna"})
    service.turn(0)
    assert {(a.frame_id, a.operator, a.effect) for a in every_answer(service.engine.ledger)} == {
        ("f3", "customer", "accepted"),
        ("f3", "anna", "accepted"),
    }


def test_an_answer_about_several_frames_names_them(client: TestClient, service: Service) -> None:
    """A defect that one camera shows must not be taught as one of the other's."""
    service.streams.send("feedback", {"part_id": "4711", "verdict": "defect", "operator": "anna"})
    service.turn(0)
    assert every_answer(service.engine.ledger) == []
    (refused,) = newest_events(service.engine.ledger, ("feedback_refused",), 9)
    assert "name the frame that shows it: left, right" in refused.detail["reason"]
    answer = client.post("/api/answers", json={"frame_id": "4711", "verdict": "defect"})
    assert (answer.status_code, answer.json()["do"]) == (404, "name the frame that shows it: left, right")


def test_answers_are_taken_back_by_who_gave_them(client: TestClient, service: Service) -> None:
    said = {"X-Operator": "anna"}
    for frame_id in ("left", "right", "f3"):
        client.post("/api/answers", json={"frame_id": frame_id, "verdict": "good"}, headers=said)
    answers.record(service.engine.ledger, answers.answer("f3", "good", "bert"), NOW_MS)
    service.turn(0)
    taken = client.post("/api/answers/withdraw", json={"frame_ids": ["left", "4712"]}, headers=said)
    assert (taken.status_code, len(taken.json()["sent"])) == (202, 2)
    service.turn(0)
    ledger = service.engine.ledger
    standing = {name: [a.operator for a in standing_on(ledger, name)] for name in ("left", "right", "f3")}
    assert standing == {"left": [], "right": ["anna"], "f3": ["bert"]}
    assert {a.revoked_by for a in every_answer(ledger)} == {None, "anna"}
    assert lesson.unlearned(ledger, service.store.current().version) == 2, "no lesson comes for what was taken back"


def test_an_answer_that_is_not_recorded_yet_is_taken_back(client: TestClient, service: Service) -> None:
    """Who answers and changes their mind at once is heard, though the service has not read the answer."""
    said = {"X-Operator": "anna"}
    client.post("/api/answers", json={"frame_id": "left", "verdict": "good"}, headers=said)
    client.post("/api/answers/withdraw", json={"frame_ids": ["left"], "unrecorded": True}, headers=said)
    service.turn(0)
    assert [answer.revoked_by for answer in every_answer(service.engine.ledger)] == ["anna"]


@pytest.mark.usefixtures("client")
def test_what_was_taken_back_is_taken_back_once(service: Service) -> None:
    """A stream may deliver twice; and what nobody said cannot be taken back."""
    ledger = service.engine.ledger
    answers.record(ledger, answers.answer("left", "good", "anna"), NOW_MS)
    for _ in range(2):
        service.streams.send("feedback", feedback.withdrawal("left", "anna"))
    service.streams.send("feedback", feedback.withdrawal("right", "anna"))
    service.turn(0)
    service.turn(0)
    assert len(newest_events(ledger, ("revoked",), 9)) == 1
    assert len(newest_events(ledger, ("feedback_again",), 9)) == 1
    (refused,) = newest_events(ledger, ("feedback_refused",), 9)
    assert "right, without an answer by anna" in refused.detail["reason"]


@pytest.mark.usefixtures("client")
def test_what_was_taken_back_can_be_said_again(service: Service) -> None:
    """Also by clients that name no key, so that it is the same one each time."""
    ledger = service.engine.ledger
    for turn in range(3):
        assert answers.record(ledger, answers.answer("left", "good", "anna"), NOW_MS)
        assert answers.record(ledger, answers.answer("left", "good", "anna"), NOW_MS) is None, turn
        assert len(standing_on(ledger, "left")) == 1
        feedback.withdraw(ledger, None, "left", "anna", NOW_MS)
        assert standing_on(ledger, "left") == []


@pytest.mark.usefixtures("client")
def test_a_lesson_goes_on_when_others_answers_are_taken_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, head, gated = service.engine.ledger, service.store.current().version, lesson.propose_and_gate
    answers.record(ledger, answers.answer("f4", "defect", "anna"), NOW_MS)

    def meanwhile(*given: object) -> object:
        outcome = gated(*given)  # type: ignore[arg-type]  # passed on
        answers.record(ledger, answers.answer("left", "good", "anna"), NOW_MS)
        feedback.withdraw(ledger, head, "left", "anna", NOW_MS)
        return outcome

    monkeypatch.setattr(lesson, "propose_and_gate", meanwhile)
    assert isinstance(lesson.learn(service.engine, service.store, "test"), Version)


def test_what_was_learned_is_not_taken_back_by_a_key(client: TestClient, service: Service) -> None:
    answers.record(service.engine.ledger, answers.answer("f4", "defect", "anna"), NOW_MS)
    assert isinstance(lesson.learn(service.engine, service.store, "test"), Version)
    refused = client.post("/api/answers/withdraw", json={"frame_ids": ["f4"]}, headers={"X-Operator": "anna"})
    assert (refused.status_code, refused.json()["do"][-19:]) == (404, "`driftline revoke f4`"[-19:])
    service.streams.send("feedback", feedback.withdrawal("f4", "anna"))
    service.turn(0)
    assert [a.revoked_by for a in every_answer(service.engine.ledger)] == [None]
    assert len(service.streams.entries("dead")) == 1


@pytest.mark.usefixtures("client")
def test_a_lesson_does_not_learn_what_is_taken_back_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, head = service.engine.ledger, service.store.current().version
    for frame_id in ("left", "right"):
        answers.record(ledger, answers.answer(frame_id, "good", "anna"), NOW_MS)
    gated = lesson.propose_and_gate

    def meanwhile(*given: object) -> object:
        outcome = gated(*given)  # type: ignore[arg-type]  # passed on
        feedback.withdraw(ledger, head, "left", "anna", NOW_MS)
        return outcome

    monkeypatch.setattr(lesson, "propose_and_gate", meanwhile)
    held = lesson.learn(service.engine, service.store, "test")
    assert isinstance(held, Hold)
    assert "taken back" in held.reason
    assert service.store.newest_number() == 1
    monkeypatch.undo()
    assert lesson.due(service.engine, 1), "the other answer still counts"
    learned = lesson.learn(service.engine, service.store, "test")
    assert isinstance(learned, Version)
    assert "left" not in learned.added


@pytest.mark.usefixtures("client")
def test_what_is_taken_back_in_the_moment_of_the_commit_is_told(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, head, commit = service.engine.ledger, service.store.current().version, service.store.commit
    answers.record(ledger, answers.answer("f4", "defect", "anna"), NOW_MS)

    def meanwhile(*given: object) -> object:
        feedback.withdraw(ledger, head, "f4", "anna", NOW_MS)
        return commit(*given)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(service.store, "commit", meanwhile)
    lesson.learn(service.engine, service.store, "test")
    assert [e.detail["version"] for e in newest_events(ledger, ("learned_taken_back",), 9)] == [2]


def test_everyone_is_told_why_a_part_is_asked_about(client: TestClient) -> None:
    told = {one["frame_id"]: one["question"] for one in client.get("/api/reviews").json()}
    assert told["f4"] == "It was rejected. Is it a defect?"
    plain = {"audited": False, "disputed": False, "unconfirmed": False}
    assert question(Verdict.OK, 0.034, **plain).startswith("It was passed, though only 3.4 % of good parts look as odd")
    assert question(Verdict.OK, None, **plain) == "It was passed. Was a defect missed?"
    assert "second person" in question(Verdict.NG, 0.01, **plain | {"unconfirmed": True})
    assert "drawn at random" in question(Verdict.OK, 0.5, **plain | {"audited": True})
    assert "proposed version" in question(Verdict.OK, 0.5, **plain | {"disputed": True})
    assert "could not be judged" in question(Verdict.UNKNOWN, 0.5, **plain)
