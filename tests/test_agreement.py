"""How well people agree: the figures are those of the books, and a study is blind, whole and remembered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW_MS, frame
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pictures import png
from sklearn.metrics import cohen_kappa_score

from daemon.cli.console import line_view
from daemon.console.access import Role, access, grant
from daemon.console.app import application
from daemon.datasets.rendered import STEADY, Flaw
from daemon.learning import answers
from daemon.ledger.answers import every_answer
from daemon.ledger.audit_log import AuditFilter, entries
from daemon.ledger.state import open_state
from daemon.ledger.studies import ratings
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from daemon.streams import RedisStreams
from policies.agreement import Share, appraised, cohens_kappa, fleiss_kappa
from policies.verdict import Label

GOOD, DEFECT = Label.GOOD, Label.DEFECT
labels = st.sampled_from([GOOD, DEFECT])


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=30))
def test_cohens_kappa_is_that_of_scikit_learn(pairs: list[tuple[Label, Label]]) -> None:
    ours = cohens_kappa(pairs)
    if len({label for pair in pairs for label in pair}) == 1:
        assert ours is None
    else:
        theirs = cohen_kappa_score([one for one, _ in pairs], [other for _, other in pairs])
        assert ours == pytest.approx(theirs)


def test_fleiss_kappa_is_that_of_a_case_worked_by_hand() -> None:
    """Four parts by three raters: 3-0, 2-1, 0-3, 1-2. P = (1 + 1/3 + 1 + 1/3) / 4 = 2/3, Pe = 1/2, kappa = 1/3."""
    counts = ((3, 0), (2, 1), (0, 3), (1, 2))
    assert fleiss_kappa([[GOOD] * good + [DEFECT] * bad for good, bad in counts]) == pytest.approx(1 / 3)
    assert fleiss_kappa([[GOOD, GOOD], [DEFECT, DEFECT]]) == 1
    assert fleiss_kappa([[GOOD, GOOD]]) is None, "chance alone agrees"
    assert fleiss_kappa([[GOOD]]) is None
    assert fleiss_kappa([]) is None


def test_an_appraisal_is_that_of_a_case_worked_by_hand() -> None:
    truth = {"a": GOOD, "b": GOOD, "c": DEFECT, "d": DEFECT}
    one = appraised({"a": [GOOD, GOOD], "b": [GOOD, DEFECT], "c": [DEFECT, DEFECT], "d": [GOOD, GOOD]}, truth)
    assert (one.consistent, one.effective) == (Share(3, 4), Share(2, 4))
    assert (one.missed, one.false_alarms) == (Share(2, 4), Share(1, 4))
    assert one.kappa == pytest.approx(0.25)
    assert one.verdict == "not acceptable"
    assert appraised({name: [label] for name, label in truth.items()}, truth).verdict == "acceptable"
    assert appraised({}, truth).verdict == ""
    assert Share(0, 0).interval == (0, 1)
    assert Share(2, 4).interval == pytest.approx((0.0676, 0.9324), abs=1e-4)


def test_the_limits_are_those_of_aiag() -> None:
    truth = {f"g{n}": GOOD for n in range(20)} | {f"d{n}": DEFECT for n in range(50)}

    def with_misses(missed: int) -> str:
        said = {name: [GOOD if name in {f"d{n}" for n in range(missed)} else label] for name, label in truth.items()}
        return appraised(said, truth).verdict

    assert [with_misses(count) for count in (0, 1, 2, 3)] == ["acceptable", "acceptable", "marginal", "not acceptable"]


@pytest.fixture
def known(service: Service) -> Service:
    """A line with three good parts and three defects on which people agree; one of the latter was passed."""
    for number in range(3):
        service.engine.judge(frame(f"g{number}", png(500 + number)))
        service.engine.judge(frame(f"d{number}", png(610 + number, STEADY, Flaw.BURR if number else None)))
        for who in ("carl", "dora"):
            for kind, label in (("g", "good"), ("d", "defect")):
                answers.record(service.engine.ledger, answers.answer(f"{kind}{number}", label, who), NOW_MS)
    return service


@pytest.fixture
def client(known: Service, settings: Settings, wire: RedisStreams) -> Iterator[TestClient]:
    """An open console before it."""
    assert known.store.newest_number() == 1
    view = line_view(settings, open_state(settings.state_dir), wire)
    with TestClient(application(view, access(ConsoleSettings())), base_url="http://127.0.0.1") as browser:
        yield browser


PLAN = {"name": "autumn", "operators": ["anna", "bert", "anna"], "trials": 2, "parts": 4}


def rated(client: TestClient, who: str, say: dict[str, str]) -> list[dict[str, Any]]:
    """Rate all that is asked; returns the questions."""
    asked: list[dict[str, Any]] = client.get("/api/studies/1/questions", params={"as": who}).json()
    for one in asked:
        body = {"trial": one["trial"], "frame_id": one["frame_id"], "verdict": say[one["frame_id"][0]]}
        assert client.post("/api/studies/1/ratings", params={"as": who}, json=body).status_code == 201
    return asked


def test_a_study_is_planned_rated_blindly_and_reported(client: TestClient, known: Service) -> None:
    made = client.post("/api/studies", json=PLAN, headers={"X-Operator": "eva"})
    assert (made.status_code, made.json()) == (201, {"study": 1, "parts": 4})
    ledger, taught = known.engine.ledger, len(every_answer(known.engine.ledger))
    asked = rated(client, "anna", {"g": "good", "d": "defect"})
    assert [one["trial"] for one in asked] == [1] * 4 + [2] * 4
    assert set(asked[0]) == {"trial", "frame_id", "seq", "judged_ms"}, "neither verdict nor score"
    orders = [[one["frame_id"] for one in asked[at : at + 4]] for at in (0, 4)]
    others = [one["frame_id"] for one in client.get("/api/studies/1/questions", params={"as": "bert"}).json()[:4]]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(others)
    assert len({tuple(orders[0]), tuple(orders[1]), tuple(others)}) > 1, "in an order that tells nothing"
    page = client.get("/studies/1", headers={"X-Operator": "bert"}).text
    assert "How people did is told once all are done" in page
    assert "of them defects" not in page, "who still rates is told nothing of the parts"
    rated(client, "bert", {"g": "defect", "d": "defect"})
    assert client.get("/api/studies/1/questions", params={"as": "anna"}).json() == []
    page = client.get("/studies/1").text
    assert "anna is done" in page
    assert "100 % <small>(4 of 4; 40 to 100 %)</small>" in page
    assert "not acceptable" in page, "bert calls all a defect"
    assert "the line" in page
    assert "Among the 2 people" in page
    assert len(every_answer(ledger)) == taught, "what they say teaches nothing"
    assert [e.who for e in entries(ledger, AuditFilter(kind="study"))] == ["eva"]
    assert "16 of 16" in client.get("/studies").text


def test_the_first_rating_stands_and_others_are_refused(client: TestClient, known: Service) -> None:
    client.post("/api/studies", json=PLAN)
    (first, *_) = client.get("/api/studies/1/questions", params={"as": "anna"}).json()
    body = {"trial": 1, "frame_id": first["frame_id"], "verdict": "good"}
    for verdict in ("good", "defect"):
        reply = client.post("/api/studies/1/ratings", params={"as": "anna"}, json=body | {"verdict": verdict})
        assert reply.status_code == 201
    assert [one.label for one in ratings(known.engine.ledger, 1)] == ["good"]
    for who, wrong in (("eve", {}), ("anna", {"trial": 3}), ("anna", {"frame_id": "other"})):
        assert client.post("/api/studies/1/ratings", params={"as": who}, json=body | wrong).status_code == 409
    assert client.get("/api/studies/9/questions").status_code == 404


def test_a_study_without_known_parts_says_what_to_do(client: TestClient, known: Service) -> None:
    for number in range(3):
        answers.record(known.engine.ledger, answers.answer(f"d{number}", "good", "eve"), NOW_MS)
    refused = client.post("/api/studies", json=PLAN)
    assert (refused.status_code, refused.json()["came"]) == (409, "3 good ones and 0 defects")


def test_who_has_a_token_rates_by_that_name_alone(
    known: Service, settings: Settings, wire: RedisStreams, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.json"
    headers = {
        name: {"Authorization": f"Bearer {grant(file, name, role)}"}
        for name, role in (("anna", Role.OPERATOR), ("eva", Role.ENGINEER))
    }
    view = line_view(settings, open_state(settings.state_dir), wire)
    with TestClient(application(view, access(ConsoleSettings(tokens=file)))) as client:
        assert client.post("/api/studies", json=PLAN, headers=headers["anna"]).status_code == 403
        assert client.post("/api/studies", json=PLAN, headers=headers["eva"]).status_code == 201
        asked = client.get("/api/studies/1/questions", params={"as": "bert"}, headers=headers["anna"]).json()
        body = {"trial": 1, "frame_id": asked[0]["frame_id"], "verdict": "good"}
        client.post("/api/studies/1/ratings", params={"as": "bert"}, json=body, headers=headers["anna"])
        assert {one.operator for one in ratings(known.engine.ledger, 1)} == {"anna"}
        assert client.get("/api/studies/1/questions", headers=headers["eva"]).status_code == 409
