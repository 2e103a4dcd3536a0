"""OPC UA, against a client of another maker: the states of OPC 40100-1, and results."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asyncua import Client as OpcUaClient
from asyncua.ua import UaError
from plants import feed_of, judge_and_report, running, until
from servers import free_port

from daemon.datasets.rendered import Flaw
from daemon.plant import opcua
from daemon.plant.feed import Condition
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import OpcUaSettings
from daemon.status import ServiceStatus
from daemon.streams import RedisStreams


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
            judge_and_report(service, "bad", Flaw.BURR)
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


async def connected(client: OpcUaClient) -> bool:
    try:
        await client.connect()
    except OSError:
        return False
    return True


async def equals(value: Callable[[], Awaitable[Any]], wanted: Any) -> bool:
    return bool(await value() == wanted)
