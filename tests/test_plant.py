"""What the plant's connectors share: the feed, the cursor, the process, and trouble."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from conftest import ROOT
from plants import checked, feed_of, judge_and_report, until
from pymodbus.client import AsyncModbusTcpClient
from servers import RealRedis, absent_redis, free_port

from daemon.datasets.rendered import Flaw
from daemon.ledger.ledger import Ledger
from daemon.plant.feed import Cursor, Feed
from daemon.plant.supervise import NoConnector, enabled, supervise
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams


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


@pytest.mark.slow
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
            judge_and_report(service, "bad", Flaw.BURR)
            await until(lambda: is_set(plc, 2))
            plc.close()

        asyncio.run(asyncio.wait_for(scenario(), 60))
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (second.returncode, "another one" in second.stderr) == (2, True)
        process.terminate()
        assert process.wait(10) == 0


async def is_set(plc: AsyncModbusTcpClient, address: int) -> bool:
    return bool((await plc.read_discrete_inputs(0, count=5)).bits[address])
