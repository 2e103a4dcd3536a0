"""The MQTT connector: publishes verdicts and the line's condition, and receives frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import asdict
from typing import Any

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from daemon.plant.feed import Condition, Feed
from daemon.streams import RedisLost
from memory.errors import DriftlineError

ONLINE, OFFLINE = "online", "offline"
TAKEN_S = 10.0
GOODBYE_S = 1.0
CONDITION_S = 0.5
MOST_UNSURE = 32
log = structlog.get_logger()


class BrokerLost(DriftlineError):
    """The broker does not answer or did not take a message."""


def availability(condition: Condition) -> str:
    """The payload of the topic `availability`: whether frames are judged."""
    return ONLINE if condition.status.ready else OFFLINE


def condition_fields(condition: Condition) -> dict[str, Any]:
    """The JSON of the topic `condition`."""
    status = condition.status
    return {
        "running": status.running,
        "version": status.version,
        "probed": status.probed,
        "busy": condition.busy,
        "trust": status.trust,
        "troubles": list(status.troubles.values()),
        "ready": status.ready,
    }


async def serve(feed: Feed) -> None:
    """Publish every verdict at least once (QoS 1) and put received frames on the line, until cancelled. Raises
    BrokerLost where the broker goes away; nothing is lost then.

    Under `PREFIX/LINE/`: `verdict` (JSON), `condition` (JSON, retained) and `availability` (`online` or `offline`,
    retained, with `offline` as the last will). Frames come as image bytes under `frame/FRAME_ID`, or under `frame` as
    JSON with `frame_id`, `path` and perhaps `part_id`.
    """
    settings = feed.settings.mqtt
    root = f"{settings.prefix}/{feed.line}"
    loop, frames = asyncio.get_running_loop(), asyncio.Queue[paho.MQTTMessage]()
    connected, lost = asyncio.Event(), asyncio.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, f"driftline-{feed.line}", clean_session=False, manual_ack=True)
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password.get_secret_value() if settings.password else None)
    if settings.tls:
        client.tls_set()
    client.will_set(f"{root}/availability", OFFLINE, qos=1, retain=True)

    def on_connect(client: paho.Client, _data: object, _flags: object, code: Any, _properties: object) -> None:
        if code.is_failure:
            log.error("MQTT broker refused us", reason=str(code))
            return
        client.subscribe([(f"{root}/frame", 1), (f"{root}/frame/+", 1)])
        loop.call_soon_threadsafe(connected.set)

    def on_message(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.qos == 0 and frames.qsize() >= MOST_UNSURE:
            log.warning("MQTT frame dropped: too many wait, and it asked for no delivery", topic=message.topic)
            return
        loop.call_soon_threadsafe(frames.put_nowait, message)

    def on_disconnect(*_: object) -> None:
        loop.call_soon_threadsafe(lost.set)

    client.on_connect = on_connect
    client.on_message = on_message
    client.on_disconnect = on_disconnect
    try:
        await asyncio.to_thread(client.connect, str(settings.host), settings.port)
        client.loop_start()
        await asyncio.wait_for(connected.wait(), TAKEN_S)
        async with asyncio.TaskGroup() as together:
            together.create_task(_verdicts(feed, client, root))
            together.create_task(_condition(feed, client, root))
            together.create_task(_frames(feed, client, frames, root))
            together.create_task(_until(lost))
    except (OSError, TimeoutError) as error:
        raise _lost(feed, str(error) or "no answer") from error
    finally:
        await asyncio.shield(asyncio.to_thread(_leave, client, root))


def _leave(client: paho.Client, root: str) -> None:
    """Publish that the line is offline, if still connected, and end paho's thread."""
    if client.is_connected():
        with contextlib.suppress(RuntimeError, ValueError):  # the broker has just gone away: its last will tells
            client.publish(f"{root}/availability", OFFLINE, qos=1, retain=True).wait_for_publish(GOODBYE_S)
    client.disconnect()
    client.loop_stop()


async def _verdicts(feed: Feed, client: paho.Client, root: str) -> None:
    async for verdict in feed.verdicts("mqtt", missed=True):
        await _publish(feed, client, f"{root}/verdict", json.dumps(asdict(verdict), ensure_ascii=False), retain=False)


async def _condition(feed: Feed, client: paho.Client, root: str) -> None:
    published: Condition | None = None
    while True:
        if (condition := feed.condition) != published:
            if published is None or published.status.ready != condition.status.ready:
                await _publish(feed, client, f"{root}/availability", availability(condition), retain=True)
            text = json.dumps(condition_fields(condition), ensure_ascii=False)
            await _publish(feed, client, f"{root}/condition", text, retain=True)
            published = condition
        await asyncio.sleep(CONDITION_S)


async def _publish(feed: Feed, client: paho.Client, topic: str, text: str, *, retain: bool) -> None:
    sent = client.publish(topic, text, qos=1, retain=retain)
    try:
        await asyncio.to_thread(sent.wait_for_publish, TAKEN_S)
    except (RuntimeError, ValueError) as error:
        raise _lost(feed, str(error)) from error
    if not sent.is_published():
        raise _lost(feed, f"it did not take a message within {TAKEN_S:.0f} s")


async def _frames(feed: Feed, client: paho.Client, frames: asyncio.Queue[paho.MQTTMessage], root: str) -> None:
    """Put received frames on the line. A message is acknowledged once its frame is in the stream, or refused: so the
    broker sends only a few beyond that, and after a crash again what was not acknowledged."""
    while True:
        message = await frames.get()
        fields = _fields(message, root, feed.settings.source.max_bytes)
        if fields is None:
            feed.record_event("mqtt_refused", topic=message.topic, bytes=len(message.payload))
            log.warning("MQTT message refused", topic=message.topic)
        while fields is not None:
            try:
                await feed.put(fields)
                break
            except RedisLost:
                await asyncio.sleep(1)  # the line's Redis is away, which the service reports; the broker waits
        client.ack(message.mid, message.qos)


def _fields(message: paho.MQTTMessage, root: str, max_bytes: int) -> dict[str, str | bytes] | None:
    """The fields of the frame in a message; None where it holds none, or too many bytes."""
    if len(message.payload) > max_bytes:
        return None
    name = message.topic.removeprefix(f"{root}/frame").strip("/")
    if name:
        return {"frame_id": name, "image": bytes(message.payload)}
    try:
        body = json.loads(message.payload)
        fields: dict[str, str | bytes] = {
            name: str(body[name]).encode() for name in ("frame_id", "part_id", "path") if name in body
        }
    except (ValueError, TypeError, RecursionError):  # no JSON, no object, lone surrogates, a thousand brackets
        return None
    return fields if "path" in fields else None


async def _until(lost: asyncio.Event) -> None:
    await lost.wait()
    raise OSError("the broker closed the connection")


def _lost(feed: Feed, came: str) -> BrokerLost:
    settings = feed.settings.mqtt
    return BrokerLost(
        expected=f"an MQTT broker at {settings.host}:{settings.port}",
        came=came,
        do="start it or correct the mqtt section; verdicts are told again from where it stopped",
    )
