"""`driftline run` under a supervisor: ready, alive, settings read anew, stopped."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, details
from servers import RealRedis

from daemon.cli.run import changed_sections, reload
from daemon.cli.supervisor import Supervisor
from daemon.service import Service
from daemon.settings.load import Settings, load


class Systemd:
    """The socket that systemd listens on."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(60)

    def told(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(tmp_path)
    yield listening
    listening.socket.close()


def test_what_systemd_is_told(systemd: Systemd) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "60000000"})
    supervisor.ready()
    for _ in range(3):
        supervisor.alive()
    supervisor.reloading()
    supervisor.stopping()
    told = [systemd.told() for _ in range(4)]
    assert told[:2] == ["READY=1", "WATCHDOG=1"], "once in a third of the time"
    assert told[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert told[3] == "STOPPING=1"
    systemd.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        systemd.told()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/socket", "WATCHDOG_USEC": "3000000"}])
def test_without_a_supervisor_nothing_is_told(environ: dict[str, str]) -> None:
    supervisor = Supervisor(environ)
    supervisor.ready()
    supervisor.alive()


def written(folder: Path, settings: Settings, **sections: object) -> Path:
    """A settings file of a line, with these sections in place of its own."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json") | sections))
    return path


def test_policy_and_retention_are_read_anew_and_the_rest_waits(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    policy = settings.policy.model_copy(update={"lesson_after": 77}).model_dump(mode="json")
    path = written(tmp_path, settings, policy=policy, schedule={"snapshot_s": 1.5})
    reload(service, path, None)
    assert service.engine.settings.policy.lesson_after == 77
    assert service.engine.settings.schedule == settings.schedule
    (told,) = details(service.engine.ledger, "reloaded")
    assert told == {"taken": ["policy"], "wait_for_a_restart": ["schedule"]}


def test_wrong_settings_change_nothing_and_are_told(service: Service, settings: Settings, tmp_path: Path) -> None:
    reload(service, written(tmp_path, settings, policy={"lesson_aftr": 7}), None)
    assert service.engine.settings == settings
    (told,) = details(service.engine.ledger, "reload_refused")
    assert "lesson_aftr" in told["error"]


def test_a_full_disk_does_not_end_the_service_that_reads_its_settings(
    service: Service, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(service.engine.ledger, "event", full)
    reload(service, written(tmp_path, settings, retention={"frames_gb": 1}), None)
    assert service.engine.settings.retention.frames_gb == 1
    reload(service, written(tmp_path, settings, retention={"frames": 1}), None)


def test_what_differs_is_named(settings: Settings) -> None:
    assert changed_sections(settings, settings) == []
    assert changed_sections(load(None), load(None, ["line=other", "policy.deadline_ms=5"])) == ["line", "policy"]


@pytest.mark.slow
def test_a_service_under_systemd(
    settings: Settings, service: Service, real_redis: RealRedis, systemd: Systemd, tmp_path: Path
) -> None:
    service.engine.ledger.close()
    wire = {"url": real_redis.url}
    path = written(tmp_path, settings, redis=wire)
    environ = os.environ | {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "300000", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "daemon.cli.main", "run", "--config", str(path)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, env=environ, stderr=log) as process:
        assert systemd.told() == "READY=1"
        assert systemd.told() == "WATCHDOG=1"
        written(tmp_path, settings, redis=wire, retention={"ring_frames": 7})
        process.send_signal(signal.SIGHUP)
        told: list[str] = []
        until_s = time.monotonic() + 60
        while not any(each.startswith("RELOADING") for each in told) and time.monotonic() < until_s:
            told.append(systemd.told())
        assert systemd.told() == "READY=1"
        process.send_signal(signal.SIGTERM)
        while told[-1] != "STOPPING=1" and time.monotonic() < until_s:
            told.append(systemd.told())
        assert process.wait(60) == 0
    assert "'retention'" in (tmp_path / "log").read_text()
