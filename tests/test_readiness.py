"""One rule of readiness: whoever asks, of a line in whatever state, hears the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW_MS, frame
from fastapi.testclient import TestClient
from pictures import png
from servers import free_port

from daemon import build, clock
from daemon.cli.console import line_view
from daemon.cli.main import main
from daemon.console.access import access
from daemon.console.app import application
from daemon.datasets.rendered import Scene
from daemon.inference.engine import Engine
from daemon.inference.judgement import Active
from daemon.learning import answers
from daemon.learning.rollback import roll_back
from daemon.ledger.state import open_state
from daemon.plant import modbus, mqtt, opcua
from daemon.plant.feed import Feed
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings

Asked = Callable[[dict[str, Any], str], dict[str, bool]]
IN_PROCESS = "memory://"
SILENT = {"moment": asdict(clock.moment()) | {"at_s": clock.moment().at_s - 60}}


@pytest.fixture
def asked(
    service: Service,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Asked:
    """What each of those who tell says of a line whose service has reported this, over the Redis of this address."""
    report = service.status()

    def ask(changes: dict[str, Any], redis_url: str) -> dict[str, bool]:
        service.engine.ledger.set_status("service", report | changes)
        line = settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": redis_url})})
        config = tmp_path / "line.yaml"
        config.write_text(line.model_dump_json())
        state = open_state(line.state_dir)
        client = TestClient(
            application(line_view(line, state, build.redis_streams(line)), access(ConsoleSettings())),
            base_url="http://127.0.0.1",
        )
        readyz = client.get("/readyz")
        monkeypatch.setattr(sys, "argv", ["driftline", "status", "--config", str(config), "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main()
        status = json.loads(capsys.readouterr().out)
        condition = Feed(line, state.ledger, build.redis_streams(line)).read_condition()
        return {
            "/readyz": readyz.status_code == 200,
            "every key of /readyz": all(readyz.json().values()),
            "driftline status": status["ready"],
            "the feed": condition.status.ready,
            "MQTT condition": mqtt.condition_fields(condition)["ready"],
            "MQTT availability": mqtt.availability(condition) == mqtt.ONLINE,
            "Modbus": bool(modbus.bits_of(condition, modbus.Result()) & 1),
            "OPC UA": opcua.states(condition)[0] is opcua.State.OPERATIONAL,
        }

    return ask


@pytest.mark.parametrize(
    ("changes", "reachable", "ready"),
    [
        pytest.param({}, True, True, id="fine"),
        pytest.param({"stopped_ms": 1}, True, False, id="stopped"),
        pytest.param(SILENT, True, False, id="silent"),
        pytest.param(
            {"moment": {"boot": "another", "at_s": 0.0}}, True, False, id="reported before a restart of the PC"
        ),
        pytest.param({"heartbeat_ms": 1}, True, True, id="the clock was set forward"),
        pytest.param({"heartbeat_ms": 2**42} | SILENT, True, False, id="silent, and the clock was set back"),
        pytest.param({"version": None, "probe_ms": None}, True, False, id="no version"),
        pytest.param({"probe_ms": None}, True, False, id="probe failed"),
        pytest.param({}, False, False, id="redis away for the reader"),
        pytest.param({"trouble": {"redis": "refused"}}, True, False, id="redis away for the service"),
        pytest.param({"trouble": {"disk": "full"}}, True, False, id="disk away"),
        pytest.param({"trouble": {"camera": "no image"}}, True, False, id="camera away"),
    ],
)
def test_everybody_gives_the_same_answer(asked: Asked, changes: dict[str, Any], reachable: bool, ready: bool) -> None:
    url = IN_PROCESS if reachable else f"redis://127.0.0.1:{free_port()}/0"
    heard = asked(changes, url)
    assert heard == dict.fromkeys(heard, ready)


def test_each_activation_is_probed_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[int] = []

    def probe(_: Engine, active: Active) -> float:
        probed.append(active.model.version.number)
        return 1.5

    monkeypatch.setattr("daemon.service.probe", probe)
    assert service.status()["probe_ms"], "what judges since the start was probed"
    service.notice_versions()
    roll_back(service.store, service.engine.ledger, 1, "eva", NOW_MS)
    service.notice_versions()
    service.notice_versions()
    assert probed == [2]
    for number in range(3):
        name = f"worn{number}"
        service.engine.judge(frame(name, png(600 + number, Scene(wear=1.0, warmth=1.0))))
        answers.record(service.engine.ledger, answers.answer(name, "good", "anna"), NOW_MS)
    service.learn("test")
    assert (probed, service.status()["version"], service.status()["probe_ms"]) == ([2, 3], 3, 1.5)
    service.engine.activate(service.store.current())
    assert probed == [2, 3], "whoever only proves needs no probe"
