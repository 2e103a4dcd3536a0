"""The console computes in a process of its own, which comes when it is needed, and goes."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import frame
from fastapi.testclient import TestClient
from pictures import png
from servers import fresh_python, until

from daemon.cli.console import NOT_COMPUTED, line_view
from daemon.cli.worker import IDLE_S, KEPT_S, SENT_S, Served
from daemon.console.access import Role, access, grant
from daemon.console.app import application
from daemon.console.worker import Worker, WorkerLost
from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings

COMMAND = (sys.executable, "-P", "-m", "daemon.cli.worker")
HERE = "http://127.0.0.1"
SOON_IDLE = "import sys; from daemon.cli import worker; worker.IDLE_S = 0.5; worker.main(sys.argv[1])"
Browser = Callable[..., TestClient]


@pytest.fixture
def computing(service: Service, settings: Settings) -> Iterator[tuple[Worker, Browser]]:
    """A worker, and browsers before a console that it computes for."""
    service.engine.judge(frame("f1", png(500)))
    service.engine.judge(frame("f2", png(610, STEADY, Flaw.BURR)))
    line = line_view(settings, open_state(settings.state_dir), service.streams)
    worker = Worker(COMMAND, settings.model_dump_json(exclude=NOT_COMPUTED))
    opened: list[TestClient] = []

    def browser(console: ConsoleSettings | None = None, **headers: str) -> TestClient:
        app = application(line, access(console or ConsoleSettings()), worker)
        opened.append(TestClient(app, base_url=HERE, headers=headers))
        return opened[-1].__enter__()

    yield worker, browser
    for one in opened:
        one.__exit__(None, None, None)
    assert not worker.running


def pid(worker: Worker) -> int:
    assert worker._process is not None
    return worker._process.pid


def test_what_is_computed_is_the_same_as_in_the_console(
    computing: tuple[Worker, Browser], service: Service, settings: Settings
) -> None:
    worker, browser = computing
    client = browser()
    assert client.get("/api/work").json()["head"] == 1
    assert client.get("/api/versions").status_code == 200
    assert not worker.running, "to look takes no worker"
    line = line_view(settings, open_state(settings.state_dir), service.streams)
    with TestClient(application(line, access(ConsoleSettings())), base_url=HERE) as alone:
        told = alone.get("/api/threshold").json()
    assert client.get("/api/threshold").json() == told
    assert worker.running
    assert client.get("/api/work").json()["head"] == 1


def test_the_console_names_the_caller_and_nobody_else_does(computing: tuple[Worker, Browser], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    viewer = grant(tokens, "vera", Role.VIEWER)
    claims = {"X-Forwarded-User": "eva", "X-Forwarded-Role": "engineer"}
    client = computing[1](ConsoleSettings(tokens=tokens))
    assert client.get("/api/threshold", headers=claims).status_code == 401
    assert not computing[0].running, "whoever is not known starts no process"
    named = {"Authorization": f"Bearer {viewer}", **claims}
    assert client.get("/api/threshold", headers=named).status_code == 200
    refused = client.post("/api/threshold", json={"rate": 0.1}, headers=named)
    assert (refused.status_code, refused.json()["detail"]) == (403, "vera is viewer; this takes engineer")
    german = client.post("/api/threshold", json={"rate": 0.1}, headers={**named, "Accept-Language": "de"})
    assert german.json()["detail"] == "vera ist Betrachter; dies braucht: Ingenieur"


def test_a_caller_may_have_any_name(computing: tuple[Worker, Browser], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    secret = grant(tokens, "Jürgen Müßig % 1", Role.VIEWER)
    client = computing[1](ConsoleSettings(tokens=tokens), Authorization=f"Bearer {secret}")
    refused = client.post("/api/threshold", json={"rate": 0.1})
    assert refused.json()["detail"] == "Jürgen Müßig % 1 is viewer; this takes engineer"
    assert client.get("/api/threshold", headers={"Cookie": "name=J\u00fcrgen".encode()}).status_code == 200


def test_only_what_it_computes_reaches_the_worker(computing: tuple[Worker, Browser]) -> None:
    worker, browser = computing
    client = browser()
    for path in ("/setup/%2e%2e/api/versions", "/setup/%2e%2e/events", "/setup/%2e%2e/warm", "/warm", "/api/setup/x"):
        assert client.get(path).status_code in {404, 405}, path
    assert not worker.running


def test_what_a_reader_sends_along_is_not_read(computing: tuple[Worker, Browser]) -> None:
    client = computing[1]()
    assert client.request("GET", "/api/threshold", content=b"x" * 1_000_000).status_code == 200


def test_a_line_below_a_path_computes_too(service: Service, settings: Settings) -> None:
    behind = ConsoleSettings(prefix="/line1")
    settings = settings.model_copy(update={"console": behind})
    line = line_view(settings, open_state(settings.state_dir), service.streams)
    worker = Worker(COMMAND, settings.model_dump_json(exclude=NOT_COMPUTED))
    with TestClient(application(line, access(behind), worker), base_url=HERE) as client:
        told = [client.get(path) for path in ("/line1/api/threshold", "/api/threshold")]
        assert [one.status_code for one in told] == [200, 200]
        assert told[0].json() == told[1].json()


def test_a_worker_has_the_console_s_settings_and_not_the_environment_s(
    computing: tuple[Worker, Browser], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DRIFTLINE_STATE_DIR", str(tmp_path / "another"))
    monkeypatch.setenv("DRIFTLINE_LINE", "another")
    assert computing[1]().get("/api/threshold").status_code == 200
    assert not (tmp_path / "another").exists()


def test_a_worker_that_does_not_answer_in_time_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.console.worker.START_S", 0.3)
    worker = Worker((sys.executable, "-c", "import time; time.sleep(60)"), "{}")
    ended: list[int | None] = []
    wait = asyncio.subprocess.Process.wait

    async def waited(process: asyncio.subprocess.Process) -> int:
        ended.append(await wait(process))
        return ended[-1] or 0

    monkeypatch.setattr(asyncio.subprocess.Process, "wait", waited)

    async def tried() -> int:
        with pytest.raises(WorkerLost, match="does not answer"):
            await worker.client()
        assert ended == [-signal.SIGKILL]
        await worker.stop()
        with pytest.raises(WorkerLost, match="is being stopped"):
            await worker.client()
        return len(asyncio.all_tasks())

    before = set(Path("/proc").glob("[0-9]*/cmdline"))
    assert asyncio.run(tried()) == 1
    left = [
        path for path in set(Path("/proc").glob("[0-9]*/cmdline")) - before if b"time.sleep(60)" in path.read_bytes()
    ]
    assert left == []


def test_an_idle_worker_ends_and_the_next_request_finds_another(
    computing: tuple[Worker, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, browser = computing
    monkeypatch.setattr(worker, "_command", (sys.executable, "-c", SOON_IDLE))
    client = browser()
    assert client.get("/api/threshold").status_code == 200
    first, folder = pid(worker), worker._folder
    until(lambda: not worker.running)
    assert folder is not None
    assert not folder.exists()
    assert client.get("/api/threshold").status_code == 200
    assert pid(worker) != first


def test_a_worker_that_was_killed_is_followed_by_another(computing: tuple[Worker, Browser]) -> None:
    worker, browser = computing
    client = browser()
    assert client.get("/api/threshold").status_code == 200
    first = pid(worker)
    os.kill(first, signal.SIGKILL)
    until(lambda: client.get("/api/threshold").status_code == 200)
    assert pid(worker) != first


def test_a_worker_that_cannot_start_is_told(service: Service, settings: Settings) -> None:
    line = line_view(settings, open_state(settings.state_dir), service.streams)
    worker = Worker((sys.executable, "-c", "raise SystemExit(3)"), "{}")
    with TestClient(application(line, access(ConsoleSettings()), worker), base_url=HERE) as client:
        told = client.get("/api/threshold")
        assert (told.status_code, told.json()["came"]) == (503, "none: its process ended")
        assert client.get("/api/versions").status_code == 200


def test_a_worker_ends_with_its_console(settings: Settings, taught: Path) -> None:  # noqa: ARG001  # the state
    """Also where the console is killed and can say nothing any more."""
    script = f"""
import asyncio, os, sys
from daemon.console.worker import Worker, WorkerLost
async def main():
    worker = Worker({COMMAND!r}, {settings.model_dump_json(exclude=NOT_COMPUTED)!r})
    await worker.client()
    print(worker._process.pid, flush=True)
    os._exit(9)
asyncio.run(main())
"""
    ended = fresh_python(script)
    number = int(ended.stdout.split()[-1])
    until(lambda: not Path(f"/proc/{number}").exists() or "State:\tZ" in Path(f"/proc/{number}/status").read_text())


@pytest.mark.parametrize(
    ("asked", "works", "sent", "draft", "after_s", "idle"),
    [
        (0, False, False, None, IDLE_S - 1, False),
        (0, False, False, None, IDLE_S + 1, True),
        (1, False, False, None, IDLE_S + 1, False),
        (0, True, False, None, IDLE_S + 1, False),
        (0, False, True, None, IDLE_S + 1, False),
        (0, False, True, None, SENT_S + 1, True),
        (0, False, True, "d1", SENT_S + 1, False),
        (0, False, True, "d1", KEPT_S + 1, True),
    ],
)
def test_who_has_something_to_do_or_to_keep_is_not_idle(
    asked: int, works: bool, sent: bool, draft: str | None, after_s: float, idle: bool
) -> None:
    newest = SimpleNamespace(ended=not works)
    drafts = SimpleNamespace(draft_id=lambda: draft, uploads=SimpleNamespace(begun=sent))
    services = SimpleNamespace(jobs=SimpleNamespace(newest=newest), drafts=drafts)
    served = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(services=services)), asked=asked, last_s=100.0)
    assert Served.idle(served, 100.0 + after_s) == idle  # type: ignore[arg-type]  # what it looks at


def test_a_console_that_only_shows_loads_no_network_and_no_bank(service: Service, settings: Settings) -> None:
    service.engine.judge(frame("f1", png(500)))
    script = f"""
import sys
from fastapi.testclient import TestClient
from daemon import build
from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
settings = Settings.model_validate_json({settings.model_dump_json(exclude=NOT_COMPUTED)!r})
line = line_view(settings, open_state(settings.state_dir), build.redis_streams(settings))
with TestClient(application(line, access(settings.console)), base_url="{HERE}") as client:
    for page in ("", "review", "parts", "parts/1", "drift", "versions", "versions/1", "threshold", "studies", "setup"):
        assert client.get("/" + page).status_code == 200, page
    assert client.get("/reports?hours=24").status_code == 200
    assert client.get("/frames/1/heat.jpg").status_code == 200
    assert client.get("/api/status").status_code == 200
print(sorted({{"torch", "timm", "faiss", "scipy.cluster", "river", "openvino", "sklearn"}} & set(sys.modules)))
"""
    said = fresh_python(script)
    assert said.stdout.strip().endswith("[]"), said


@pytest.mark.slow
def test_a_draft_is_taught_checked_and_goes_live_by_the_worker(computing: tuple[Worker, Browser]) -> None:
    client = computing[1]()
    batch = client.post("/api/setup/begin").json()["batch"]
    for number in range(16):
        sent = client.put(f"/api/setup/images?batch={batch}&name={number}.png", content=png(number))
        assert sent.status_code == 201
    assert client.post("/api/setup/teach", json={"batch": batch}).status_code == 202
    until(lambda: client.get("/api/work").json()["work"]["ended"])
    told = client.get("/api/work").json()
    assert told["work"]["error"] is None
    known = client.post("/api/setup/known", json={"count": 1}).json()["batch"]
    bad = client.post(f"/api/setup/check?batch={known}&name=bad.png", content=png(610, STEADY, Flaw.BURR)).json()
    assert base64.b64decode(bad["picture"])[:2] == b"\xff\xd8"
    assert client.get(f"/setup/odd/0.jpg?draft={told['draft']['id']}").headers["content-type"] == "image/jpeg"
    live = client.post("/api/setup/live", json={"draft": told["draft"]["id"], "meant": True})
    assert live.json() == {"version": 2}
    assert client.get("/api/versions").json()[0]["who"] == "console"
    assert client.post("/api/score", content=png(500)).json()["version"] == 2
