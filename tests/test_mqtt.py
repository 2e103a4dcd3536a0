"""MQTT, against a real broker on this PC."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from pictures import png
from plants import checked, feed_of, judge_and_report, running, until
from servers import free_port, need

from daemon.datasets.rendered import Flaw
from daemon.ledger.frames import newest_frames
from daemon.plant import mqtt
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import MqttSettings
from daemon.streams import RedisStreams


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
            judge_and_report(service, "bad", Flaw.BURR)
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
        judge_and_report(service, "before its first start")
        async with running(feed, mqtt.serve):
            await until(lambda: heard_last(listener.on("availability"), b"online"))
            judge_and_report(service, "one")
            await until(lambda: heard_last(listener.on("verdict")))
        judge_and_report(service, "two", Flaw.BURR)
        async with running(feed, mqtt.serve):
            await until(lambda: checked(lambda: len(listener.on("verdict")) >= 2))
        listener.close()
        assert [json.loads(v)["frame_id"] for v in listener.on("verdict")] == ["one", "two"]

    asyncio.run(asyncio.wait_for(scenario(), 60))


async def heard_last(heard: list[bytes], newest: bytes | None = None) -> bool:
    return bool(heard) and (newest is None or heard[-1] == newest)


async def judged(service: Service, *names: str) -> bool:
    await asyncio.to_thread(service.turn, 10)
    return all(service.engine.ledger.frame(name) is not None for name in names)
