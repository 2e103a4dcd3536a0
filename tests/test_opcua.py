"""OPC UA, against a client of another maker: the states of OPC 40100-1, and results."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC
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
                inner = await value("VisionStateMachine", "AutomaticModeStateMachine", "CurrentState")
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


TOLD = ["ResultId", "PartId", "ResultEvaluation", "Score", "Threshold", "Version", "Reason", "CreationTime"]


class Told:
    """What a client's subscription was told of results."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def event_notification(self, event: Any) -> None:
        self.results.append({name: getattr(event, name) for name in TOLD})


def test_an_event_tells_all_of_one_result_and_none_is_left_out(
    service: Service, settings: Settings, wire: RedisStreams
) -> None:
    port = free_port()
    feed = feed_of(service, settings, wire, opcua=OpcUaSettings(host="127.0.0.1", port=port))
    told, flaws = Told(), [Flaw.BURR if number % 3 == 0 else None for number in range(12)]

    async def scenario() -> None:
        async with running(feed, opcua.serve):
            client = OpcUaClient(f"opc.tcp://127.0.0.1:{port}/driftline")
            await until(lambda: connected(client))
            space = await client.get_namespace_index(opcua.NAMESPACE)
            path = ["0:Types", "0:EventTypes", "0:BaseEventType", f"{space}:ResultReadyEventType"]
            subscription = await client.create_subscription(300, told)
            await subscription.subscribe_events(evtypes=await client.nodes.root.get_child(path))
            for number, flaw in enumerate(flaws):
                judge_and_report(service, f"f{number}", flaw)

            async def all_told() -> bool:
                return len(told.results) == len(flaws)

            await until(all_told)
            await client.disconnect()

    asyncio.run(asyncio.wait_for(scenario(), 60))
    for number, result in enumerate(told.results):
        frame = service.engine.ledger.frame(f"f{number}")
        assert frame is not None
        assert (result["ResultId"], result["PartId"]) == (frame.frame_id, frame.part_id)
        assert result["ResultEvaluation"] == opcua.EVALUATION[frame.verdict]
        assert (result["Score"], result["Threshold"]) == (frame.score, frame.threshold)
        assert (result["Version"], result["Reason"]) == (frame.version, frame.reason)
        assert round(result["CreationTime"].replace(tzinfo=UTC).timestamp() * 1000) == frame.judged_ms


STATES = list(opcua.State)
OUTER, INNER = STATES[:4], STATES[4:]
WITHOUT = {(opcua.State.HALTED, opcua.State.ERROR), (opcua.State.HALTED, opcua.State.OPERATIONAL)}
ENTERED = [*[(state, None) for state in OUTER[:3]], (OUTER[3], opcua.State.READY), (OUTER[3], INNER[3])]


@pytest.mark.parametrize("before", [None, *ENTERED])
@pytest.mark.parametrize("after", ENTERED)
def test_states_are_reached_by_transitions_that_opc_40100_has(
    before: opcua.Entered | None, after: opcua.Entered
) -> None:
    passed = opcua.way(before, after)
    assert passed[-1] == after
    for one, other in itertools.pairwise([before, *passed] if before else passed):
        assert (one[0], other[0]) not in WITHOUT
        if other[1] is not None and one[1] is None:
            assert other[1] is opcua.State.INITIALIZED
        if one[1] is opcua.State.INITIALIZED:
            assert other[1] is opcua.State.READY


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
