"""Modbus, against a PLC's client."""

from __future__ import annotations

import asyncio

from conftest import frame
from pictures import png
from plants import feed_of, judge_and_report, running, until
from pymodbus.client import AsyncModbusTcpClient
from servers import free_port

from daemon.datasets.rendered import Flaw
from daemon.plant import modbus
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ModbusSettings
from daemon.streams import RedisStreams


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
            judge_and_report(service, "bad", Flaw.BURR)
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
            judge_and_report(service, "good")
            await until(lambda: shows(result_valid=True, unknown=False, result_ok=True))
            assert (await registers())["overruns"] == 1
            service.engine.ledger.set_status("service", {**service.status(), "stopped_ms": 1})
            await until(lambda: shows(ready=False))
            plc.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))
