"""The OPC UA connector: the states of OPC 40100-1 (Machine Vision) and the newest result."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.event_generator import EventGenerator
from asyncua.server.server import Server

from daemon.ledger.records import PlantVerdict
from daemon.plant.feed import Condition, Feed
from policies.verdict import Verdict

NAMESPACE = "urn:driftline:vision"
CONDITION_S = 0.1


class State(IntEnum):
    """The states of VisionStateMachineType and VisionAutomaticModeStateMachineType by their numbers (OPC 40100-1,
    tables 82 and 97)."""

    PREOPERATIONAL = 1
    HALTED = 2
    ERROR = 3
    OPERATIONAL = 4
    INITIALIZED = 5
    READY = 6
    SINGLE_EXECUTION = 7
    CONTINUOUS_EXECUTION = 8


NAMES = {state: state.name.title().replace("_", "") for state in State}
EVALUATION = {Verdict.OK: 1, Verdict.NG: 2, Verdict.UNKNOWN: 3}  # OPC 40001-101: OK, not OK, not decidable


def states(condition: Condition) -> tuple[State, State | None]:
    """The state of the vision system, and that of its automatic mode within Operational, which is None elsewhere."""
    status = condition.status
    if status.ready:
        return State.OPERATIONAL, State.CONTINUOUS_EXECUTION if condition.busy else State.READY
    if not status.running:
        return State.HALTED, None
    return State.PREOPERATIONAL if status.version is None and not status.troubles else State.ERROR, None


Entered = tuple[State, State | None]


def way(before: Entered | None, after: Entered) -> list[Entered]:
    """The states to pass through to `after`, which is the last of them, by transitions that OPC 40100-1 has (tables 84
    and 99): from Halted only Preoperational is reached, and the automatic mode begins with Initialized and Ready."""
    way: list[Entered] = []
    if before and before[0] is State.HALTED and after[0] in {State.ERROR, State.OPERATIONAL}:
        way.append((State.PREOPERATIONAL, None))
    if after[1] and not (before and before[1]):
        way += [(after[0], State.INITIALIZED), (after[0], State.READY)]
    return [*way, after] if not way or way[-1] != after else way


async def serve(feed: Feed) -> None:
    """Serve the vision system's states and its newest result until cancelled. Raises OSError where the port is taken.

    Under Objects/VisionSystem: VisionStateMachine/CurrentState and its Number, the same of its
    AutomaticModeStateMachine, and ResultManagement/Result. The variables of a result are read one by one; an event of
    ResultReadyEventType holds all of one result, and none is left out between two publishings.
    """
    settings = feed.settings.opcua
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://{settings.host}:{settings.port}/driftline")
    server.set_server_name(f"Driftline {feed.line}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.allow_remote_admin(False)  # or anyone who claims to be admin could write
    space = await server.register_namespace(NAMESPACE)
    system = await server.nodes.objects.add_object(space, "VisionSystem")
    machine = await Machine.create(system, space, "VisionStateMachine")
    mode = await Machine.create(machine.node, space, "AutomaticModeStateMachine")
    results = await Results.create(server, await system.add_object(space, "ResultManagement"), space)
    async with server, asyncio.TaskGroup() as together:
        together.create_task(_follow(feed, machine, mode))
        together.create_task(_publish(feed, results))


@dataclass(frozen=True)
class Machine:
    """A state machine as clients see it: its object, the name of its current state, and that state's number."""

    node: Node
    state: Node
    number: Node

    @classmethod
    async def create(cls, parent: Node, space: int, name: str) -> Machine:
        """A state machine below `parent`, in no state yet."""
        node = await parent.add_object(space, name)
        state = await node.add_variable(space, "CurrentState", ua.LocalizedText(""))
        return cls(node, state, await state.add_property(space, "Number", 0, ua.VariantType.UInt32))

    async def enter(self, state: State | None) -> None:
        """Enter a state; None leaves every state."""
        await self.number.write_value(ua.Variant(state or 0, ua.VariantType.UInt32))
        await self.state.write_value(ua.LocalizedText(NAMES[state] if state else ""))


@dataclass(frozen=True)
class Results:
    """The newest result as clients see it: its variables by name, of which ResultId is written last, and the event of
    the server that tells all of it at once."""

    variables: dict[str, Node]
    ready: EventGenerator

    @classmethod
    async def create(cls, server: Server, parent: Node, space: int) -> Results:
        """An empty result below `parent`."""
        node = await parent.add_object(space, "Result")
        plain: dict[str, Any] = {
            "PartId": "",
            "ResultEvaluation": ua.Variant(0, ua.VariantType.Int32),
            "Reason": "",
            "Score": 0.0,
            "Threshold": 0.0,
            "Version": ua.Variant(0, ua.VariantType.UInt32),
            "CreationTime": datetime.fromtimestamp(0, UTC),
            "ResultId": "",
        }
        variables = {name: await node.add_variable(space, name, value) for name, value in plain.items()}
        kinds = [(name, await variable.read_data_type_as_variant_type()) for name, variable in variables.items()]
        event = await server.create_custom_event_type(space, "ResultReadyEventType", properties=kinds)
        return cls(variables, await server.get_event_generator(event))

    async def take(self, verdict: PlantVerdict) -> None:
        """Write a verdict and tell it. A client that reads the variables may find some of the next result's."""
        values: dict[str, Any] = {
            "PartId": verdict.part_id,
            "ResultEvaluation": ua.Variant(EVALUATION[verdict.verdict], ua.VariantType.Int32),
            "Reason": verdict.reason,
            "Score": float(verdict.score or 0),
            "Threshold": float(verdict.threshold or 0),
            "Version": ua.Variant(verdict.version or 0, ua.VariantType.UInt32),
            "CreationTime": datetime.fromtimestamp(verdict.judged_ms / 1000, UTC),
            "ResultId": verdict.frame_id,
        }
        for name, value in values.items():
            await self.variables[name].write_value(value)
            setattr(self.ready.event, name, value)
        await self.ready.trigger(message=f"{verdict.part_id}: {verdict.verdict}")


async def _follow(feed: Feed, machine: Machine, mode: Machine) -> None:
    entered = None
    while True:
        if (now := states(feed.condition)) != entered:
            for state, within in way(entered, now):
                await machine.enter(state)
                await mode.enter(within)
            entered = now
        await asyncio.sleep(CONDITION_S)


async def _publish(feed: Feed, results: Results) -> None:
    async for verdict in feed.verdicts("opcua", missed=False):
        await results.take(verdict)
