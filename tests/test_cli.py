"""The command as people and scripts use it, and the process as systemd does."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main
from commands import call
from pictures import png
from servers import RealRedis, free_port

from daemon import build
from daemon.cli.main import app, main
from daemon.datasets.rendered import Flaw
from daemon.streams import RedisStreams

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "line.yaml"
    path.write_text(
        f"""
line: clitest
state_dir: {tmp_path / "state"}
extractor: {{input_px: 64, threads: 1, backend: torch}}
memory: {{bank_patches: 400}}
policy: {{false_reject_rate: 0.05, audit_share: 0.0}}
redis: {{url: memory://}}
schedule: {{snapshot_s: 0.2}}
"""
    )
    return path


def test_a_line_s_day(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: Path, good_parts: Path
) -> None:
    def driftline(*words: object) -> Any:
        code, reply = call(capsys, monkeypatch, *words, "--config", config)
        assert code == 0, reply
        return reply

    taught = driftline("teach", good_parts)
    assert (taught["version"], taught["held_out"], taught["refused"]) == (1, 16, {})
    assert taught["guaranteed_rate"] == pytest.approx(1 / 17)
    (tmp_path / "burr.png").write_bytes(png(510, flaw=Flaw.BURR))
    (tmp_path / "text.png").write_text("text")
    scored = driftline("score", tmp_path / "burr.png", tmp_path / "text.png", "--heatmap", tmp_path / "maps")
    assert [row["verdict"] for row in scored] == ["NG", "UNKNOWN"]
    assert (tmp_path / "maps" / "burr.png").stat().st_size > 500
    stream = tmp_path / "stream"
    stream.mkdir()
    for number in range(4):
        (stream / f"{number}.png").write_bytes(png(504 + number))
    played = driftline("replay", stream, "--report", tmp_path / "report.html")
    assert sum(n for name, n in played["counts"].items() if name.startswith("frames.")) == 4
    assert "Replay of stream" in (tmp_path / "report.html").read_text()
    driftline("teach", good_parts)
    assert [v["number"] for v in driftline("versions", "list")] == [1, 2]
    assert driftline("versions", "show", 1)["cause"] == "teach"
    same = driftline("versions", "diff", 1, 2)
    assert (same["bank"], same["verdicts_that_differ"]) == ({"added": [], "removed": []}, [])
    assert driftline("versions", "rollback", 1)["number"] == 3
    assert driftline("status")["running"] is False
    assert driftline("status")["head"] == 3
    # Whether one of sixteen parts is odd is beside the point.
    levels = {f["check"]: f["level"] for f in driftline("doctor") if f["check"] != "odd part"}
    assert levels == {
        "config": "ok",
        "disk": "ok",
        "clock": "ok",
        "redis": "warn",
        "weights": "ok",
        "store": "ok",
        "threshold": "warn",
        "backend": "ok",
    }
    assert driftline("config", "check")["line"] == "clitest"


def test_an_expected_failure_is_readable_and_exits_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path, tmp_path: Path
) -> None:
    for words, name in (
        (("teach", tmp_path / "nowhere"), "TeachError"),
        (("versions", "rollback", 3), "StoreError"),
        (("feedback", "never-judged", "good"), "FeedbackRejected"),
        (("feedback", "f", "maybe"), "FeedbackRejected"),
        (("feedback", "f", "good", "--region", "1,2,x"), "FeedbackRejected"),
        (("score", tmp_path / "x.png"), "StoreError"),
        (("status", "--set", "lnie=x"), "ConfigError"),
    ):
        code, reply = call(capsys, monkeypatch, *words, "--config", config)
        assert code == 2
        assert reply["error"] == name
        assert reply["expected"]
        assert reply["do"]


def test_doctor_fails_without_redis_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    code, reply = call(capsys, monkeypatch, "doctor", "--config", config, "--set", "redis.url=redis://127.0.0.1:1/0")
    assert code == 1
    (finding,) = [f for f in reply if f["check"] == "redis"]
    assert (finding["level"], "start redis-server" in finding["do"]) == ("fail", True)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database or disk is full"), OSError(28, "No space left")])
def test_a_full_disk_is_told_in_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    def full(_: Path) -> None:
        raise error

    monkeypatch.setattr("daemon.cli.main.open_state", full)
    code, reply = call(capsys, monkeypatch, "status", "--config", config)
    assert (code, reply["error"], reply["do"][:10]) == (2, "DiskRefuses", "free space")


def test_what_is_no_fault_of_the_disk_is_not_put_down_to_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    def broken(_: Path) -> None:
        raise sqlite3.OperationalError("no such column: x")

    monkeypatch.setattr("daemon.cli.main.open_state", broken)
    with pytest.raises(sqlite3.OperationalError):
        call(capsys, monkeypatch, "status", "--config", config)


@pytest.mark.redis
def test_doctor_names_a_redis_that_is_too_old(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path, real_redis: RealRedis
) -> None:
    monkeypatch.setattr("daemon.cli.doctor.LEAST_REDIS", (99, 0))
    code, reply = call(capsys, monkeypatch, "doctor", "--config", config, "--set", f"redis.url={real_redis.url}")
    assert code == 1
    (finding,) = [f for f in reply if f["check"] == "redis"]
    assert (finding["level"], finding["do"]) == ("fail", "update it to 99.0 or newer")


def test_the_schema_names_every_section(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, reply = call(capsys, monkeypatch, "config", "schema")
    assert code == 0
    assert {"extractor", "memory", "policy", "source", "redis", "retention", "schedule"} <= set(reply["properties"])


def commands() -> dict[str, Any]:
    """Every command as a person types it."""
    root = typer.main.get_command(app)
    named: dict[str, Any] = {}
    for name, command in root.commands.items():  # type: ignore[attr-defined]  # the root is a group
        inner = getattr(command, "commands", None)
        named |= {f"{name} {sub}": nested for sub, nested in inner.items()} if inner else {name: command}
    return named


@pytest.mark.parametrize(("name", "command"), commands().items(), ids=commands())
def test_every_command_is_in_the_readme_explained_and_answers_in_json(name: str, command: Any) -> None:
    assert f"driftline {name}" in (ROOT / "README.md").read_text()
    assert command.help
    assert name in {"run", "console", "plant"} or "as_json" in {parameter.name for parameter in command.params}


def start(config: Path, url: str) -> subprocess.Popen[bytes]:
    """Start the service as a process of its own; its log goes to a file beside the configuration."""
    command = [sys.executable, "-m", "daemon.cli.main", "run", "--config", config, "--set", f"redis.url={url}"]
    with config.with_suffix(".log").open("w") as log:
        return subprocess.Popen(command, cwd=ROOT, stderr=log)


def wait(until: Any, process: subprocess.Popen[bytes]) -> None:
    for _ in range(4_500):
        if until():
            return
        assert process.poll() is None, "the service ended"
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


@pytest.mark.slow
@pytest.mark.redis
def test_sigterm_finishes_and_exits_0_and_kill_9_loses_nothing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    config: Path,
    good_parts: Path,
    real_redis: RealRedis,
) -> None:
    assert call(capsys, monkeypatch, "teach", good_parts, "--config", config)[0] == 0
    with real_redis.client() as client:
        wire = RedisStreams(client, real_redis.url, "driftline", "clitest")
        for number in range(12):
            wire.send("frames", {"frame_id": str(number), "image": png(500 + number)})
        process = start(config, real_redis.url)
        wait(lambda: len(wire.entries("verdicts")) >= 3, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start(config, real_redis.url)
        wait(lambda: len(wire.entries("verdicts")) == 12, process)
        second = start(config, real_redis.url)
        assert second.wait(60) == 2, "only one service may hold the state folder"
        assert "another one, process" in config.with_suffix(".log").read_text()
        code, reply = call(capsys, monkeypatch, "status", "--config", config)
        assert (code, reply["running"], reply["device"]) == (0, True, "cpu")
        code, sent = call(
            capsys, monkeypatch, "feedback", "3", "good", "--config", config, "--set", f"redis.url={real_redis.url}"
        )
        assert code == 0
        assert sent["key"] == "3|cli|good"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert [f["frame_id"] for _, f in wire.entries("verdicts")] == [str(n).encode() for n in range(12)]
        assert client.xpending(wire.name("frames"), "driftline")["pending"] == 0
    assert call(capsys, monkeypatch, "status", "--config", config)[1]["running"] is False


def test_one_process_may_hold_a_state_folder(tmp_path: Path) -> None:
    with build.only_one(tmp_path), pytest.raises(Exception, match="another one"), build.only_one(tmp_path):
        pass
    with build.only_one(tmp_path):
        pass


def test_the_console_lets_go_whoever_watches_and_stops_in_peace(config: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "daemon.cli.main", "console", "-c", str(config), "--set", f"console.port={port}"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        wait(lambda: answers(port), process)
        with httpx.stream("GET", f"http://127.0.0.1:{port}/events") as watched:
            assert watched.status_code == 200
            process.terminate()
            list(watched.iter_text())
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in log
    assert "stopped" in log


def test_a_port_in_use_is_told_before_an_address_is_announced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["driftline", "console", "-c", str(config), "--set", f"console.port={port}"])
        with pytest.raises(SystemExit) as end:
            main()
    told = capsys.readouterr()
    assert end.value.code == 2
    assert f"127.0.0.1:{port}: Address already in use" in told.err
    assert "http://" not in told.out + told.err


def test_a_token_goes_into_the_file_that_the_settings_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    named = tmp_path / "named.json"
    words = ("token", "anna", "operator", "--config", config)
    _, made = call(capsys, monkeypatch, *words, "--set", f"console.tokens={named}")
    assert (made["file"], named.exists()) == (str(named), True)
    _, made = call(capsys, monkeypatch, *words)
    assert (made["file"], Path("tokens.json").exists()) == ("tokens.json", True)
    _, made = call(capsys, monkeypatch, *words, "--file", tmp_path / "other.json")
    assert made["file"] == str(tmp_path / "other.json")


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.HTTPError:
        return False
