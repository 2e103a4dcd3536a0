"""The plant's connectors, each against a real peer on this PC: a broker, a receiver of webhooks, a PLC's clients."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import paho.mqtt.client as paho
import pytest
from asyncua import Client as OpcUaClient
from asyncua.ua import UaError
from conftest import ROOT, frame
from pictures import png
from pymodbus.client import AsyncModbusTcpClient
from servers import RealRedis, absent_redis, free_port, need
from standardwebhooks.webhooks import Webhook

from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger.frames import newest_frames
from daemon.ledger.ledger import Ledger
from daemon.ledger.state import open_state
from daemon.plant import modbus, mqtt, opcua
from daemon.plant.feed import Condition, Cursor, Feed
from daemon.plant.supervise import NoConnector, enabled, supervise
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ModbusSettings, MqttSettings, OpcUaSettings, WebhookSettings
from daemon.status import ServiceStatus
from daemon.streams import RedisStreams

SECRET = base64.b64encode(b"a secret of twenty-four.").decode()
GIVE_UP_S = 60.0


@asynccontextmanager
async def running(feed: Feed, serve: Callable[[Feed], Awaitable[None]]) -> AsyncIterator[None]:
    """A connector that is served meanwhile; what it raises fails the test."""
    tasks = [asyncio.ensure_future(serve(feed)), asyncio.ensure_future(feed.follow_condition())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(e, asyncio.CancelledError) for e in ended), ended


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2_400):
        if await holds():
            return
        await asyncio.sleep(GIVE_UP_S / 2_400)
    raise AssertionError("it did not come to pass")


def judge(service: Service, name: str, flaw: Flaw | None = None) -> None:
    service.engine.judge(frame(name, png(610, STEADY, flaw)))
    service.engine.ledger.set_status("service", service.status())


def feed_of(service: Service, settings: Settings, wire: RedisStreams, **also: Any) -> Feed:
    wire.prepare()
    service.engine.ledger.set_status("service", service.status())
    return Feed(settings.model_copy(update=also), open_state(settings.state_dir).ledger, wire)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """Debian's mosquitto on a port of its own."""
    program = need("mosquitto")
    port, file = free_port(), tmp_path / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen([program, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
        process.terminate()


class Listener:
    """A plant's MQTT client."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda _client, _data, m: self.heard.append((m.topic, m.payload))
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("driftline/test/#", 1)
        self.client.loop_start()

    def on(self, topic: str) -> list[bytes]:
        return [payload for heard, payload in self.heard if heard == f"driftline/test/{topic}"]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.redis
def test_mqtt_tells_verdicts_and_availability_and_takes_frames(
    service: Service, settings: Settings, wire: RedisStreams, broker: int
) -> None:
    feed = feed_of(service, settings, wire, mqtt=MqttSettings(host="127.0.0.1", port=broker))

    async def scenario() -> None:
        listener = Listener(broker)
        async with running(feed, mqtt.serve):
            await until(lambda: heard_last(listener.on("availability"), b"online"))
            judge(service, "bad", Flaw.BURR)
            await until(lambda: heard_last(listener.on("verdict")))
            verdict = json.loads(listener.on("verdict")[0])
            assert (verdict["frame_id"], verdict["verdict"], verdict["version"]) == ("bad", "NG", 1)
            assert json.loads(listener.on("condition")[-1])["trust"] == "stable"
            listener.client.publish("driftline/test/frame/by-mqtt", png(504), qos=1)
            listener.client.publish("driftline/test/frame", '{"frame_id": "by-path", "path": "/no/such"}', qos=1)
            for odd in ("[1]", "[" * 100_000, '{"path": "\\ud800", "frame_id": "a"}', '"path"'):
                listener.client.publish("driftline/test/frame", odd, qos=1)
            await until(lambda: judged(service, "by-mqtt", "by-path"))
            await until(lambda: checked(lambda: service.engine.ledger.counts().get("events.mqtt_refused") == 4))
        await until(lambda: heard_last(listener.on("availability"), b"offline"))
        listener.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))
    verdicts = {frame.frame_id: frame.verdict for frame in newest_frames(service.engine.ledger, 10)}
    assert verdicts == {"bad": "NG", "by-mqtt": "OK", "by-path": "UNKNOWN"}


@pytest.mark.redis
def test_mqtt_tells_what_was_judged_while_it_was_away(
    service: Service, settings: Settings, wire: RedisStreams, broker: int
) -> None:
    feed = feed_of(service, settings, wire, mqtt=MqttSettings(host="127.0.0.1", port=broker))

    async def scenario() -> None:
        listener = Listener(broker)
        judge(service, "before its first start")
        async with running(feed, mqtt.serve):
            await until(lambda: heard_last(listener.on("availability"), b"online"))
            judge(service, "one")
            await until(lambda: heard_last(listener.on("verdict")))
        judge(service, "two", Flaw.BURR)
        async with running(feed, mqtt.serve):
            await until(lambda: checked(lambda: len(listener.on("verdict")) >= 2))
        listener.close()
        assert [json.loads(v)["frame_id"] for v in listener.on("verdict")] == ["one", "two"]

    asyncio.run(asyncio.wait_for(scenario(), 60))


class Receiver(BaseHTTPRequestHandler):
    """A receiver of webhooks that checks signatures, and answers as it is told to."""

    answers: ClassVar[list[int]] = []
    heard: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        status = self.answers.pop(0) if self.answers else 204
        if status == 204:
            payload = Webhook(SECRET).verify(body, {k.lower(): v for k, v in self.headers.items()})
            self.heard.append((self.headers["webhook-id"], payload))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """Its URL."""
    Receiver.answers, Receiver.heard = [], []
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_is_signed_posted_again_and_passed_over_once_refused(
    service: Service, settings: Settings, wire: RedisStreams, receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.plant.supervise.BACKOFF_FIRST_S", 0.05)
    feed = feed_of(service, settings, wire, webhook=WebhookSettings(url=receiver, secret=SECRET))
    Receiver.answers = [503, 401, 204, 422, 409, 204]

    async def scenario() -> None:
        task = asyncio.ensure_future(supervise(feed, enabled(feed.settings)))
        await until(lambda: checked((settings.state_dir / "plant" / "webhook.cursor").exists))
        for name in ("again", "refused", "had already", "last"):
            judge(service, name)
        await until(lambda: checked(lambda: len(Receiver.heard) == 2))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert [(name, payload["data"]["frame_id"]) for name, payload in Receiver.heard] == [
        ("test-1", "again"),
        ("test-4", "last"),
    ]
    counts = service.engine.ledger.counts()
    assert (counts["events.plant_away"], counts["events.webhook_refused"]) == (1, 2)


def test_a_plc_reads_states_and_results_and_acknowledges(
    service: Service, settings: Settings, wire: RedisStreams
) -> None:
    port = free_port()
    feed = feed_of(service, settings, wire, modbus=ModbusSettings(host="127.0.0.1", port=port))

    async def scenario() -> None:
        async with running(feed, modbus.serve):
            plc = AsyncModbusTcpClient("127.0.0.1", port=port)
            await until(plc.connect)

            async def inputs() -> dict[str, bool]:
                bits = (await plc.read_discrete_inputs(0, count=5)).bits
                return dict(zip(modbus.INPUTS, bits, strict=False))

            async def registers() -> dict[str, int]:
                return dict(zip(modbus.REGISTERS, (await plc.read_input_registers(0, count=7)).registers, strict=True))

            async def shows(**wanted: bool) -> bool:
                now = await inputs()
                return all(now[name] == value for name, value in wanted.items())

            await until(lambda: shows(ready=True, busy=False, result_valid=False))
            assert (await registers())["sequence_low"] == 0
            assert (await plc.read_input_registers(3, count=2)).registers == [1, 1], "version and trust alone"
            wire.send("frames", {"frame_id": "waits", "image": png(504)})
            await until(lambda: shows(busy=True))
            judge(service, "bad", Flaw.BURR)
            await until(lambda: shows(result_valid=True, result_ok=False, unknown=False))
            result = await registers()
            assert (result["sequence_low"], result["version"], result["trust"]) == (1, 1, 1)
            assert result["score_per_mille"] > 1000
            assert result["inputs"] & 0b11101 == 0b00101, "ready and valid, neither OK nor UNKNOWN"
            assert (await plc.read_discrete_inputs(2, count=1)).bits[0] is True, "one bit alone"
            for refused in (plc.write_coil(0, True), plc.write_register(1, 1), plc.write_registers(0, [1, 1])):
                assert (await refused).isError()
            await plc.write_register(0, 7)
            assert await shows(result_valid=True), "another's number acknowledges nothing"
            await plc.write_register(0, result["sequence_low"])
            await until(lambda: shows(result_valid=False))
            service.engine.judge(frame("torn", b"no image"))
            await until(lambda: shows(result_valid=True, unknown=True, result_ok=False))
            judge(service, "good")
            await until(lambda: shows(result_valid=True, unknown=False, result_ok=True))
            assert (await registers())["overruns"] == 1
            service.engine.ledger.set_status("service", {**service.status(), "stopped_ms": 1})
            await until(lambda: shows(ready=False))
            plc.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_opc_ua_client_sees_states_and_results(service: Service, settings: Settings, wire: RedisStreams) -> None:
    port = free_port()
    feed = feed_of(service, settings, wire, opcua=OpcUaSettings(host="127.0.0.1", port=port))

    async def scenario() -> None:
        async with running(feed, opcua.serve):
            client = OpcUaClient(f"opc.tcp://127.0.0.1:{port}/driftline")
            client.set_user("admin")
            await until(lambda: connected(client))
            space = await client.get_namespace_index(opcua.NAMESPACE)

            async def value(*path: str) -> Any:
                node = await client.nodes.objects.get_child([f"{space}:{p}" for p in ("VisionSystem", *path)])
                return await node.read_value()

            async def shows(state: str, mode: str) -> bool:
                outer = (await value("VisionStateMachine", "CurrentState")).Text
                inner = await value("VisionStateMachine", "VisionAutomaticModeStateMachine", "CurrentState")
                return bool((outer, inner.Text) == (state, mode))

            async def newest() -> Any:
                return await value("ResultManagement", "Result", "ResultId")

            await until(lambda: shows("Operational", "Ready"))
            assert await value("VisionStateMachine", "CurrentState", "Number") == 4
            judge(service, "bad", Flaw.BURR)
            await until(lambda: equals(newest, "bad"))
            assert await value("ResultManagement", "Result", "ResultEvaluation") == 2
            assert await value("ResultManagement", "Result", "Score") > 0
            result = await client.nodes.objects.get_child(
                [f"{space}:{p}" for p in ("VisionSystem", "ResultManagement")]
            )
            with pytest.raises(UaError):
                await (await result.get_child([f"{space}:Result", f"{space}:PartId"])).write_value("forged")
            with pytest.raises(UaError):
                await result.delete()
            service.engine.ledger.set_status("service", {**service.status(), "stopped_ms": 1})
            await until(lambda: shows("Halted", ""))
            await client.disconnect()

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize(
    ("now", "busy", "names"),
    [
        (ServiceStatus(), False, (opcua.State.HALTED, None)),
        (ServiceStatus(running=True), False, (opcua.State.PREOPERATIONAL, None)),
        (ServiceStatus(running=True, version=1), False, (opcua.State.ERROR, None)),
        (ServiceStatus(running=True, version=1, probed=True), False, (opcua.State.OPERATIONAL, opcua.State.READY)),
        (
            ServiceStatus(running=True, version=1, probed=True),
            True,
            (opcua.State.OPERATIONAL, opcua.State.CONTINUOUS_EXECUTION),
        ),
        (
            ServiceStatus(running=True, version=1, probed=True, troubles={"redis": "redis is away"}),
            False,
            (opcua.State.ERROR, None),
        ),
    ],
)
def test_states_are_those_of_opc_40100(
    now: ServiceStatus, busy: bool, names: tuple[opcua.State, opcua.State | None]
) -> None:
    assert opcua.states(Condition(now, busy)) == names
    assert now.ready == (names[0] is opcua.State.OPERATIONAL)


def test_a_line_without_redis_is_not_ready(service: Service, settings: Settings) -> None:
    service.engine.ledger.set_status("service", service.status())
    away = RedisStreams(absent_redis(), "redis://127.0.0.1:1", "driftline", "test")
    now = Feed(settings, service.engine.ledger, away).read_condition().status
    assert (now.running, now.ready, tuple(now.troubles.values())) == (True, False, ("redis is away",))


def test_a_full_disk_ends_no_connector(
    service: Service, settings: Settings, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.plant.supervise.BACKOFF_FIRST_S", 0.01)
    feed = feed_of(service, settings, wire)
    begun: list[str] = []

    async def torn(_: Feed) -> None:
        begun.append("again")
        raise OSError("no space left on device")

    async def scenario() -> None:
        full = sqlite3.OperationalError("database or disk is full")
        with monkeypatch.context() as disk:
            for what in ("event", "service"):
                disk.setattr(Ledger, what, Mock(side_effect=full))
            task = asyncio.ensure_future(supervise(feed, {"torn": torn}))
            await until(lambda: checked(lambda: len(begun) > 2 and bool(feed.condition.status.troubles)))
            assert (feed.condition.status.ready, feed.condition.status.running) == (False, False)
        await until(lambda: checked(lambda: feed.condition.status.ready))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("content", [b"", b"0000", b"torn"])
def test_a_cursor_that_a_power_cut_tore_is_unknown(tmp_path: Path, content: bytes) -> None:
    cursor = Cursor(tmp_path / "plant" / "mqtt.cursor")
    assert cursor.read() is None
    for seq in (9, 10, 123_456):
        cursor.write(seq)
        assert cursor.read() == seq
    cursor.path.write_bytes(content)
    assert cursor.read() is None
    cursor.path.write_bytes(b"1234")
    assert cursor.read() == 1234, "as earlier ones were written"


def test_nothing_configured_is_told(settings: Settings) -> None:
    with pytest.raises(NoConnector, match=r"modbus\.port"):
        enabled(settings)


async def checked(holds: Callable[[], bool]) -> bool:
    return holds()


async def heard_last(heard: list[bytes], newest: bytes | None = None) -> bool:
    return bool(heard) and (newest is None or heard[-1] == newest)


async def judged(service: Service, *names: str) -> bool:
    await asyncio.to_thread(service.turn, 10)
    return all(service.engine.ledger.frame(name) is not None for name in names)


async def connected(client: OpcUaClient) -> bool:
    try:
        await client.connect()
    except OSError:
        return False
    return True


async def equals(value: Callable[[], Awaitable[Any]], wanted: Any) -> bool:
    return bool(await value() == wanted)


@pytest.mark.redis
def test_the_process_serves_what_is_configured_and_stops_in_peace(
    service: Service, settings: Settings, tmp_path: Path, real_redis: RealRedis
) -> None:
    port, config = free_port(), tmp_path / "line.yaml"
    service.engine.ledger.set_status("service", service.status())
    document = settings.model_dump(mode="json") | {"redis": {"url": real_redis.url}}
    document["modbus"] = {"host": "127.0.0.1", "port": port}
    config.write_text(json.dumps(document))
    command = [sys.executable, "-m", "daemon.cli.main", "plant", "--config", str(config)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:

        async def scenario() -> None:
            plc = AsyncModbusTcpClient("127.0.0.1", port=port)
            await until(plc.connect)
            bits = (await plc.read_discrete_inputs(0, count=5)).bits
            assert bits[2] is False, "nothing was judged yet"
            judge(service, "bad", Flaw.BURR)
            await until(lambda: is_set(plc, 2))
            plc.close()

        asyncio.run(asyncio.wait_for(scenario(), 60))
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (second.returncode, "another one" in second.stderr) == (2, True)
        process.terminate()
        assert process.wait(10) == 0


async def is_set(plc: AsyncModbusTcpClient, address: int) -> bool:
    return bool((await plc.read_discrete_inputs(0, count=5)).bits[address])
