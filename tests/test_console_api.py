"""The HTTP API: what it tells, what it changes, and whom it lets do so."""

from __future__ import annotations

import base64
import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW_MS, frame
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pictures import png
from servers import absent_redis

from daemon import build
from daemon.cli.console import line_view
from daemon.console.access import Role, access, grant
from daemon.console.app import CHANGES_A_MINUTE, ROUTERS, application
from daemon.console.line import LineView
from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.intake.onto_canvas import Decoded, decode_onto
from daemon.learning import answers
from daemon.learning.rollback import roll_back
from daemon.ledger.answers import every_answer
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import ConfigError, Settings
from daemon.settings.models import ConsoleSettings, SourceSettings
from daemon.streams import RedisStreams
from memory.extract import Extractor
from memory.geometry import Geometry
from policies import recalibration
from policies.threshold import Threshold

HERE = "http://127.0.0.1"
PUBLIC = {"/healthz", "/readyz", "/login", "/logout", "/words/de.js"}
Client = Callable[..., TestClient]


@pytest.fixture
def line(service: Service, settings: Settings, wire: RedisStreams) -> LineView:
    """The line as the console's process sees it, with some parts judged."""
    for number in (500, 501):
        service.engine.judge(frame(f"good{number}", png(number)))
    service.engine.judge(frame("bad/1?#", png(610, STEADY, Flaw.BURR)))
    service.engine.ledger.set_status("service", service.status())
    return line_view(settings, open_state(settings.state_dir), wire)


@pytest.fixture
def client(line: LineView) -> Iterator[TestClient]:
    """A browser on this PC, before an open console."""
    with TestClient(application(line, access(ConsoleSettings())), base_url=HERE) as browser:
        yield browser


@pytest.fixture
def guarded(line: LineView, tmp_path: Path) -> Callable[[str | None], TestClient]:
    """Browsers elsewhere: one for each role, or for a stranger."""
    file = tmp_path / "tokens.json"
    tokens = {role.name.lower(): grant(file, f"{role.name.lower()} anna", role) for role in Role}
    app = application(line, access(ConsoleSettings(host="0.0.0.0", tokens=file)))  # noqa: S104  # nothing listens

    def browser(role: str | None) -> TestClient:
        headers = {"Authorization": f"Bearer {tokens[role]}"} if role else {}
        return TestClient(app, base_url="https://driftline.plant", headers=headers)

    return browser


def test_frames_are_told_newest_first(client: TestClient) -> None:
    frames = client.get("/api/frames").json()
    assert [f["frame_id"] for f in frames] == ["bad/1?#", "good501", "good500"]
    assert [f["frame_id"] for f in client.get("/api/frames", params={"before": frames[0]["seq"]}).json()] == [
        "good501",
        "good500",
    ]
    assert [f["frame_id"] for f in client.get("/api/frames", params={"verdict": "NG"}).json()] == ["bad/1?#"]


def test_why_names_bank_and_teacher(client: TestClient) -> None:
    (reasons,) = client.get("/api/why/bad%2F1%3F%23").json()
    assert (reasons["verdict"], reasons["version"]["cause"], reasons["version"]["who"]) == ("NG", "teach", "pytest")
    assert client.get("/api/why/never").status_code == 404


def test_an_answer_goes_through_the_stream_and_counts_once(client: TestClient, service: Service) -> None:
    body = {"frame_id": "bad/1?#", "verdict": "defect", "region": [0.1, 0.1, 0.4, 0.5], "key": "k1"}
    for _ in range(2):
        sent = client.post("/api/answers", json=body, headers={"X-Operator": "anna"})
        assert sent.status_code == 202, sent.text
    service.turn(0)
    (recorded,) = every_answer(service.engine.ledger)
    assert (recorded.operator, recorded.label, recorded.box) == ("anna", "defect", (0.1, 0.1, 0.4, 0.5))


def test_the_first_answer_wins_and_the_second_is_told(client: TestClient, service: Service) -> None:
    answers.record(service.engine.ledger, answers.answer("bad/1?#", "defect", "bert"), NOW_MS)
    body = {"frame_id": "bad/1?#", "verdict": "good"}
    refused = client.post("/api/answers", json=body, headers={"X-Operator": "anna"})
    assert refused.status_code == 409
    assert "bert said defect" in refused.json()["came"]
    assert client.post("/api/answers", json={**body, "despite": True}).status_code == 202


def test_what_is_asked_and_not_answered_is_to_be_reviewed(client: TestClient, service: Service) -> None:
    assert [r["frame_id"] for r in client.get("/api/reviews").json()][:1] == ["bad/1?#"]
    answers.record(service.engine.ledger, answers.answer("bad/1?#", "defect", "bert"), NOW_MS)
    assert "bad/1?#" not in [r["frame_id"] for r in client.get("/api/reviews").json()]


def test_a_version_is_rolled_back_by_name(client: TestClient, service: Service) -> None:
    reply = client.post("/api/versions/1/rollback", headers={"X-Operator": "eva"})
    assert reply.status_code == 201
    assert [v["cause"] for v in client.get("/api/versions").json()] == ["rollback", "teach"]
    assert client.get("/api/versions/2").json()["who"] == "eva"
    assert client.get("/api/versions/99").status_code == 409
    service.notice_versions()
    assert service.status()["version"] == 2


def test_the_audit_log_is_told_whole(client: TestClient, service: Service) -> None:
    answers.record(service.engine.ledger, answers.answer("good500", "good", "=cmd()"), NOW_MS)
    lines = [json.loads(text) for text in client.get("/api/audit").text.splitlines()]
    assert {(r["kind"], r["who"]) for r in lines} == {("version", "pytest"), ("answer", "=cmd()")}
    rows = list(csv.DictReader(io.StringIO(client.get("/api/audit", params={"format": "csv"}).text)))
    assert [r["digest"] for r in rows] == [r["digest"] for r in lines]
    for form in ("csv", "jsonl"):
        later = client.get("/api/audit", params={"format": form, "since_ms": NOW_MS + 1, "who": "=cmd()"}).text
        assert "=cmd()" not in later, "what is asked for is left out in every form"
        assert "=cmd()" in client.get("/api/audit", params={"format": form, "what": "part-good500"}).text


@pytest.mark.parametrize("over", [{"stopped_ms": NOW_MS}, {"version": None}, {"trouble": {"camera": "black"}}])
def test_nobody_is_calmed_about_a_scene_that_is_not_looked_at(
    client: TestClient, service: Service, over: dict[str, Any]
) -> None:
    assert "Nothing has changed" in client.get("/drift").text
    assert 'class="lamp stable"' in client.get("/").text
    service.engine.ledger.set_status("service", {**service.status(), **over})
    assert client.get("/api/drift").json()["now"] is None
    assert "Nobody looks at the scene" in client.get("/drift").text
    for page in ("/", "/drift"):
        assert "stable" not in client.get(page).text


def test_what_is_compensated_is_no_trouble(client: TestClient, service: Service) -> None:
    """It is told on *Drift*; at the line nothing is to do."""
    card = {"cause": "light", "since_ms": NOW_MS, "amount": "light +1 %", "reason": "lamp", "do": "nothing"}
    reported = service.status()
    for action, troubles in (("compensated", 0), ("learning paused", 1)):
        drift = {**reported["drift"], "cards": [{**card, "action": action}]}  # type: ignore[dict-item]  # JSON
        service.engine.ledger.set_status("service", {**reported, "drift": drift})
        page = client.get("/").text
        assert page.count("light +1 %") == troubles
        assert "light +1 %" in client.get("/drift").text


def test_drift_is_told(client: TestClient) -> None:
    drift = client.get("/api/drift").json()
    assert drift["now"]["trust"]
    assert isinstance(drift["told"], list)


def test_an_image_is_scored_and_nothing_recorded(
    client: TestClient, line: LineView, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    before = line.state.ledger.counts()
    scored = client.post("/api/score", content=png(610, STEADY, Flaw.BURR)).json()
    assert (scored["verdict"], scored["version"]) == ("NG", 1)
    assert max(map(max, scored["map"])) == pytest.approx(scored["score"])
    assert client.post("/api/score", content=b"no image").status_code == 422
    assert line.state.ledger.counts() == before


def test_an_image_is_scored_in_the_light_of_now(
    client: TestClient, service: Service, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    monkeypatch.setattr("daemon.console.live_scorer.LIGHT_S", -1.0)
    brighter = Scene(light=1.25)
    before = client.post("/api/score", content=png(504, brighter)).json()["score"]
    for number in range(600, 630):
        service.engine.judge(frame(f"brighter {number}", png(number, brighter)))
    client.post("/api/versions/1/rollback")
    now = client.post("/api/score", content=png(504, brighter)).json()["score"]
    judged = service.engine.judge(frame("the same", png(504, brighter)))
    assert now == pytest.approx(judged.score, rel=1e-3)
    assert now < 0.9 * before


def test_a_version_that_cannot_score_is_not_ready(
    client: TestClient, service: Service, line: LineView, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr(service.engine, "score_image", broken)
    roll_back(service.store, service.engine.ledger, 1, "eva", NOW_MS)
    service.notice_versions()
    line.state.ledger.set_status("service", service.status())
    readiness = client.get("/readyz")
    assert (readiness.status_code, readiness.json()["probe"]) == (503, False)
    assert line.state.ledger.counts()["events.probe_failed"] == 1


def test_an_engineer_sets_another_rate_and_lessons_keep_it(client: TestClient, service: Service) -> None:
    offered = client.get("/api/threshold").json()
    assert (offered["version"], len(offered["goods"]), len(offered["choices"])) == (1, 16, 17)
    wanted = offered["choices"][10]
    reply = client.post("/api/threshold", json={"rate": wanted["rate"]}, headers={"X-Operator": "eva"})
    assert reply.status_code == 201
    assert reply.json()["threshold"] == wanted["value"]
    service.notice_versions()
    assert service.engine.active is not None
    assert service.engine.active.threshold.value == wanted["value"]
    (newest, *_) = client.get("/api/versions").json()
    assert (newest["cause"], newest["who"], newest["bank_size"]) == ("threshold", "eva", 400)
    assert client.get("/api/threshold").json()["value"] == wanted["value"]
    for wrong in (0, 1, "x"):
        assert client.post("/api/threshold", json={"rate": wrong}).status_code == 422


def test_a_threshold_that_would_forget_a_defect_is_refused(client: TestClient, service: Service) -> None:
    answers.record(service.engine.ledger, answers.answer("bad/1?#", "defect", "bert"), NOW_MS)
    service.learn("test")
    offered = client.get("/api/threshold").json()
    assert list(offered["defects"]) == ["bad/1?#"]
    assert offered["choices"][-1]["found"] == 1
    assert (offered["drawn"], offered["choices"][-1]["recall"]) == (0, [0, 1]), "it was asked about for its score"
    far = replace(Threshold.of(service.store.current().version.threshold), scores=(99.0,), value=99.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recalibration, "recalibrated", lambda snapshot, _: (snapshot, far))
        refused = client.post("/api/threshold", json={"rate": 0.01})
    assert refused.status_code == 409
    assert "bad/1?#" in refused.json()["came"]
    assert service.store.newest_number() == offered["version"]


def test_good_parts_are_taught_checked_and_go_live(
    client: TestClient, line: LineView, service: Service, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    batch = client.post("/api/setup/begin").json()["batch"]
    assert client.post("/api/setup/teach", json={"batch": batch}).status_code == 409
    assert client.post("/api/setup/live", json={"draft": "x"}).status_code == 409
    known = client.post("/api/setup/known", json={"count": 1}).json() | {"name": "burr.png"}
    assert client.post("/api/setup/check", params=known, content=png(1)).status_code == 409
    for number in range(12):
        name = {"batch": batch, "name": f"../../{number} & more.PNG"}
        assert client.put("/api/setup/images", params=name, content=png(number)).status_code == 201
    torn = client.put("/api/setup/images", params={"batch": batch, "name": "x.png"}, content=b"no image")
    assert torn.status_code == 422
    kept = sorted((line.settings.state_dir / "uploads").rglob("*"))[1:]
    assert [path.name for path in kept][:2] == ["00000-0-more.png", "00001-1-more.png"]
    teach = {"json": {"batch": batch}, "headers": {"X-Operator": "eva"}}
    assert client.post("/api/setup/teach", **teach).status_code == 202
    progress = ended(client)
    assert progress["work"]["error"] is None
    assert (progress["draft"]["parts"], progress["draft"]["follows"], progress["head"]) == (12, 1, 1)
    known = client.post("/api/setup/known", json={"count": 1}).json() | {"name": "burr.png"}
    checked = client.post("/api/setup/check", params=known, content=png(610, STEADY, Flaw.BURR)).json()
    assert checked["verdict"] == "NG"
    assert base64.b64decode(checked["picture"])[:2] == b"\xff\xd8"
    assert client.post("/api/setup/live", json={"draft": "another's"}).status_code == 409
    live = client.post("/api/setup/live", json={"draft": progress["draft"]["id"]}, headers={"X-Operator": "eva"})
    assert live.json() == {"version": 2}
    service.notice_versions()
    assert service.status()["version"] == 2
    assert client.get("/api/versions/2").json()["who"] == "eva"
    assert client.get("/versions/2/added/0.jpg").headers["content-type"] == "image/jpeg"
    assert client.get("/versions/2/added/99.jpg").status_code == 404
    assert client.get("/versions/2/blobs/0.jpg").status_code == 404
    assert client.get("/api/work").json()["draft"] is None


def test_two_folders_do_not_mix_and_a_failed_teach_leaves_no_draft(
    client: TestClient, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)

    def send(batch: str, count: int) -> list[int]:
        images = [{"batch": batch, "name": f"{n}.png"} for n in range(count)]
        return [client.put("/api/setup/images", params=p, content=png(n)).status_code for n, p in enumerate(images)]

    annas = client.post("/api/setup/begin").json()["batch"]
    assert send(annas, 12) == [201] * 12
    client.post("/api/setup/teach", json={"batch": annas})
    assert ended(client)["draft"]["parts"] == 12
    berts = client.post("/api/setup/begin").json()["batch"]
    assert send(annas, 1) == [409]
    torn = client.put("/api/setup/images", params={"batch": annas, "name": "torn.png"}, content=b"no image")
    assert torn.status_code == 409, "whatever is sent, the folder is over"
    assert client.post("/api/setup/teach", json={"batch": annas}).status_code == 409
    assert send(berts, 1) == [201]
    client.post("/api/setup/teach", json={"batch": berts})
    progress = ended(client)
    assert "at least 2 usable images" in progress["work"]["error"]
    assert progress["draft"] is None, "what was taught before is not what was asked for"


def test_versions_are_compared_by_the_newest_parts(
    client: TestClient, extractor: Extractor, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    roll_back(service.store, service.engine.ledger, 1, "eva", NOW_MS)
    assert client.post("/api/versions/1/compare").status_code == 202
    progress = ended(client)
    assert progress["work"]["found"] == {"before": 2, "after": 1, "judged": 3, "differ": []}
    assert client.post("/api/versions/99/compare").status_code == 409


def test_one_piece_of_work_at_a_time(client: TestClient, extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(build, "extractor", lambda _: go.wait(10) and extractor)
    assert client.post("/api/versions/1/compare", headers={"X-Operator": "eva"}).status_code == 202
    busy = client.post("/api/versions/1/compare")
    assert (busy.status_code, busy.json()["came"]) == (409, "eva is at it: compare")
    go.set()
    ended(client)
    assert client.post("/api/versions/1/compare").status_code == 202
    ended(client)


def test_who_waits_for_the_backbone_holds_up_no_picture(
    client: TestClient, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, go = threading.Event(), threading.Event()

    def slow(_: Settings) -> Extractor:
        loading.set()
        go.wait(30)
        return extractor

    monkeypatch.setattr(build, "extractor", slow)
    with ThreadPoolExecutor() as others:
        waiting = [others.submit(client.post, "/api/score", content=png(n)) for n in range(4)]
        loading.wait(30)
        assert client.get("/frames/1/image.jpg").status_code == 200
        assert not any(one.done() for one in waiting)
        go.set()
        assert [one.result().status_code for one in waiting] == [200] * 4


def test_two_images_are_decoded_at_once(
    client: TestClient, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "extractor", lambda _: extractor)
    both, under_way, most = threading.Barrier(2), [0], [0]

    def counted(data: bytes, geometry: Geometry, source: SourceSettings) -> Decoded:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        both.wait(30)  # six in pairs: a third at once would be seen
        under_way[0] -= 1
        return decode_onto(data, geometry, source)

    monkeypatch.setattr("daemon.console.live_scorer.decode_onto", counted)
    with ThreadPoolExecutor() as people:
        sent = [people.submit(client.post, "/api/score", content=png(n)) for n in range(6)]
        assert [one.result().status_code for one in sent] == [200] * 6
    assert most == [2]


def ended(client: TestClient) -> dict[str, Any]:
    """What the console says once its work is done."""
    for _ in range(400):
        progress: dict[str, Any] = client.get("/api/work").json()
        if progress["work"]["ended"]:
            return progress
        time.sleep(0.02)
    raise AssertionError("it did not end")


def test_a_line_engineer_sees_whether_it_is_ready(
    client: TestClient, line: LineView, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/healthz").json() == {"console": "alive"}
    assert client.get("/readyz").json() == {
        "service": True,
        "bank": True,
        "probe": True,
        "redis": True,
        "nothing_away": True,
    }
    monkeypatch.setattr(line.streams, "_client", absent_redis())
    assert client.get("/readyz").status_code == 503
    assert client.post("/api/answers", json={"frame_id": "good500", "verdict": "good"}).status_code == 503


@pytest.mark.parametrize(
    ("path", "status", "heading", "words"),
    [
        ("/versions/99", 409, "This cannot be shown", "driftline versions list"),
        ("/nowhere", 404, "There is no such page", "Not Found"),
        ("/versions/none", 422, "This address is not right", "valid integer"),
    ],
)
def test_a_browser_reads_errors_as_a_page_and_a_program_as_json(
    client: TestClient, path: str, status: int, heading: str, words: str
) -> None:
    shown = client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (shown.status_code, shown.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{heading}</h1>" in shown.text
    assert words in shown.text
    told = client.get(path)
    assert (told.status_code, told.headers["content-type"]) == (status, "application/json")
    assert client.get(f"/api{path}", headers={"Accept": "text/html"}).headers["content-type"] == "application/json"


def test_a_viewer_reads_why_a_page_is_not_theirs(guarded: Client) -> None:
    shown = guarded("viewer").get("/setup", headers={"Accept": "text/html"})
    assert shown.status_code == 403
    assert "viewer anna is viewer; this takes engineer" in shown.text


def test_prometheus_reads_what_was_counted(client: TestClient) -> None:
    metrics = client.get("/metrics").text
    assert 'driftline_recorded{kind="OK",what="frames"} 2.0' in metrics
    assert "driftline_version 1.0" in metrics
    assert 'driftline_judge_ms{quantile="0.99"}' in metrics


def requests() -> Iterator[tuple[str, str, Role | None]]:
    """Every route with a path that it takes, and the least role that it serves."""
    for route in (r for router in ROUTERS for r in router.routes):
        assert isinstance(route, APIRoute)
        least = [d.call.least for d in route.dependant.dependencies if hasattr(d.call, "least")]
        named = {"number": 1, "name": "good500", "seq": 1, "kind": "image", "place": 0, "rank": 0, "detector": "padim"}
        named |= {"code": "de"}
        path = route.path.replace(":path", "").format(**named)
        for method in sorted(route.methods):
            yield method, path, *(least or [None])


def test_strangers_and_lower_roles_change_nothing(guarded: Client, line: LineView) -> None:
    recorded = lambda: (line.state.store.newest_number(), line.streams.entries("feedback"), line.state.ledger.counts())  # noqa: E731  # two uses, one line
    tried = 0
    for method, path, least in requests():
        assert (least is None) == (path in PUBLIC)
        for role in (None, *Role):
            if least is not None and (role is None or role < least):
                before = recorded()
                body = {"frame_id": "good500", "verdict": "good"}
                answer = guarded(role.name.lower() if role else None).request(method, path, json=body)
                assert answer.status_code == (403 if role else 401), (method, path, role)
                assert before == recorded(), (method, path, role)
                tried += 1
    assert tried > 15


def test_a_browser_keeps_a_token_out_of_reach_of_scripts(guarded: Client) -> None:
    token = guarded("viewer").headers["Authorization"].removeprefix("Bearer ")
    with guarded(None) as client:
        page = client.get("/", headers={"Accept": "text/html"}, follow_redirects=False)
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        assert "Your token" in client.get("/login").text
        assert client.post("/login", json={"token": "wrong"}).status_code == 401
        assert client.get("/api/status").status_code == 401
        cookie = client.post("/login", json={"token": token}).headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Secure"} <= set(cookie.split("; "))
        assert "viewer anna" in client.get("/", headers={"Accept": "text/html"}).text
        assert client.post("/api/versions/1/rollback").status_code == 403
        client.post("/logout")
        assert client.get("/api/status").status_code == 401


def test_names_that_are_html_stay_names(client: TestClient, service: Service) -> None:
    evil = "<meta http-equiv=refresh content=0>"
    for number in range(3):
        name = f'">{evil}{number}'
        service.engine.judge(frame(name, png(600 + number, Scene(wear=1.0, warmth=1.0))))
        answers.record(service.engine.ledger, answers.answer(name, "good", evil), NOW_MS)
    service.learn("test")
    assert client.get("/api/versions/2").json()["added"]
    for path in ("/", "/review", "/drift", "/versions", "/versions/2", "/threshold", "/setup", "/login"):
        reply = client.get(path, headers={"X-Operator": evil})
        assert reply.status_code == 200
        assert evil not in reply.text, path
    assert "&lt;meta" in client.get("/versions/2").text


@pytest.mark.parametrize(
    ("path", "body"),
    [("/login", '{"token": NaN}'), ("/login", '{"token": "\\ud800"}'), ("/api/threshold", '{"rate": Infinity}')],
)
def test_what_json_cannot_hold_is_no_server_error(client: TestClient, path: str, body: str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("headers", [{"Host": "["}, {"Origin": "http://["}, {"Origin": "null"}])
def test_odd_headers_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/setup/begin", headers=headers).status_code == 403


def test_a_token_s_name_is_the_operator_s(guarded: Client, line: LineView) -> None:
    sent = guarded("operator").post(
        "/api/answers", json={"frame_id": "good500", "verdict": "good"}, headers={"X-Operator": "mallory"}
    )
    assert sent.status_code == 202
    (entry,) = line.streams.entries("feedback")
    assert entry[1]["operator"] == b"operator anna"


@pytest.mark.parametrize("token", ["", "wrong", "é" * 300])
def test_a_wrong_token_is_a_stranger(guarded: Client, token: str) -> None:
    with guarded(None) as client:
        client.cookies.set("driftline", token.encode("ascii", "ignore").decode() or "x")
        assert client.get("/api/status").status_code == 401


def test_a_trusted_proxy_says_who_asks(line: LineView) -> None:
    known = application(line, access(ConsoleSettings(host="0.0.0.0", proxies=("testclient",))))  # noqa: S104  # nothing listens
    with TestClient(known, base_url="https://driftline.plant") as client:
        assert client.get("/api/status").status_code == 401
        forwarded = {"X-Forwarded-User": "anna", "X-Forwarded-Role": "viewer"}
        assert client.get("/api/status", headers=forwarded).status_code == 200
        assert client.post("/api/versions/1/rollback", headers=forwarded).status_code == 403
        assert client.get("/api/status", headers=forwarded | {"X-Forwarded-Role": "root"}).status_code == 401
        forged = [("X-Forwarded-Role", "engineer"), *forwarded.items()]
        assert client.get("/api/status", headers=forged).status_code == 401, "a client's own beside the proxy's"
    other = application(line, access(ConsoleSettings(host="0.0.0.0", proxies=("10.0.0.1",))))  # noqa: S104  # nothing listens
    with TestClient(other, base_url="https://driftline.plant") as client:
        assert client.get("/api/status", headers=forwarded).status_code == 401


def test_a_proxy_s_people_are_counted_one_by_one(line: LineView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.console.app.CHANGES_A_MINUTE", 3)
    app = application(line, access(ConsoleSettings(host="0.0.0.0", proxies=("testclient",))))  # noqa: S104  # nothing listens
    with TestClient(app, base_url="https://driftline.plant") as client:

        def sent(*forwarded: tuple[str, str]) -> int:
            headers = [(f"X-Forwarded-{name}", value) for name, value in forwarded]
            return client.post("/api/answers", json={}, headers=headers).status_code

        anna, bert = ([("User", name), ("Role", "operator")] for name in ("anna", "bert"))
        assert [sent(*anna) for _ in range(4)] == [422, 422, 422, 429]
        assert sent(*bert) == 422
        unknown = [sent(("User", f"made up {n}"), *(anna if n % 2 else [])) for n in range(4)]
        assert unknown == [401, 401, 401, 429], "names that nobody vouches for are one sender"


def test_nobody_gets_in_from_outside_by_accident(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tokens or trusted proxies"):
        access(ConsoleSettings(host="0.0.0.0"))  # noqa: S104  # it is refused
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(ConfigError, match="driftline token"):
        access(ConsoleSettings(tokens=tmp_path / "torn.json"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
def test_another_site_s_page_changes_nothing(client: TestClient, line: LineView, headers: dict[str, str]) -> None:
    body = {"frame_id": "good500", "verdict": "good"}
    assert client.post("/api/answers", json=body, headers=headers).status_code == 403
    assert line.streams.entries("feedback") == []
    for host in ("127.0.0.1", "localhost:8090"):  # as a proxy names it, which the browser has vouched for
        own = {"Origin": HERE, "Host": host, "Sec-Fetch-Site": "same-origin"}
        assert client.post("/api/answers", json=body, headers=own).status_code == 202


def test_bodies_and_rates_are_bounded(client: TestClient, settings: Settings) -> None:
    assert client.post("/api/answers", content=b"x" * 70_000).status_code == 413
    assert client.post("/api/score", headers={"Content-Length": str(settings.source.max_bytes + 1)}).status_code == 413
    assert client.post("/api/score", content=iter([b"chunk"])).status_code == 411
    for _ in range(CHANGES_A_MINUTE):
        last = client.post("/api/answers", json={})
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) >= 1
    assert client.get("/api/status").status_code == 200


def test_every_answer_forbids_foreign_content(client: TestClient) -> None:
    for path in ("/api/status", "/healthz", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
