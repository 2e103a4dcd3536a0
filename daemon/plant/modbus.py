"""The Modbus TCP connector: the newest verdict and the line's state, for a PLC that reads registers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from daemon.ledger.records import PlantVerdict
from daemon.plant.feed import Condition, Feed
from policies.verdict import Verdict

INPUTS = ("ready", "busy", "result_valid", "result_ok", "unknown")
REGISTERS = ("sequence_high", "sequence_low", "score_per_mille", "version", "trust", "overruns", "inputs")
TRUST = {"unknown": 0, "stable": 1, "compensating": 2, "drifting": 3, "untrusted": 4}
WORD = 65_535
READ_INPUTS, READ_REGISTERS, WRITE_COILS = 2, 4, {5, 15}


@dataclass
class Result:
    """The newest verdict as the PLC reads it: `valid` until the PLC acknowledges it; a verdict that is replaced before
    that counts as an overrun."""

    sequence: int = 0
    ok: bool = False
    unknown: bool = False
    score_per_mille: int = 0
    valid: bool = False
    overruns: int = 0

    def take(self, verdict: PlantVerdict) -> None:
        """Replace the result by a verdict, its score in per mille of the threshold."""
        self.overruns = (self.overruns + self.valid) & WORD
        score, threshold = verdict.score, verdict.threshold
        self.sequence, self.valid = verdict.seq, True
        self.ok, self.unknown = verdict.verdict is Verdict.OK, verdict.verdict is Verdict.UNKNOWN
        self.score_per_mille = min(round(1000 * score / threshold), WORD) if score is not None and threshold else 0


def bits_of(condition: Condition, result: Result) -> int:
    """The discrete inputs, the first in the lowest bit."""
    states = (condition.status.ready, condition.busy, result.valid, result.ok, result.unknown)
    return sum(int(state) << bit for bit, state in enumerate(states))


def registers_of(condition: Condition, result: Result) -> list[int]:
    """The input registers, in the order of `REGISTERS`."""
    return [
        result.sequence >> 16 & WORD,
        result.sequence & WORD,
        result.score_per_mille,
        (condition.status.version or 0) & WORD,
        TRUST.get(condition.status.trust, 0),
        result.overruns,
        bits_of(condition, result),
    ]


async def serve(feed: Feed) -> None:
    """Serve the registers until cancelled. Raises OSError where the port is taken.

    Discrete inputs from 0: ready, busy, result valid, result OK, UNKNOWN. Input registers from 0: the verdict's number
    (two words, high first), score per mille of the threshold, version, trust (0 unknown, 1 stable, 2 compensating, 3
    drifting, 4 untrusted), overruns, and the discrete inputs as bits, so that one request reads all of one result. To
    say that it has read a result the PLC writes the low word of its number to holding register 0: result valid falls,
    unless another result has come since. UNKNOWN is never OK: each has a bit.
    """
    settings, result = feed.settings.modbus, Result()

    async def answer(
        code: int, start: int, address: int, count: int, values: list[Any], written: Any
    ) -> ExcCodes | None:
        del start, address, count
        if code == READ_INPUTS:
            values[0] = bits_of(feed.condition, result)
        elif code == READ_REGISTERS:
            values[:] = registers_of(feed.condition, result)
        elif code in WRITE_COILS and written:
            return ExcCodes.ILLEGAL_ADDRESS
        elif written and written[0] == result.sequence & WORD:  # into the one holding register
            result.valid = False
        return None

    blocks = (
        [SimData(0, count=1, values=[False] * 16, datatype=DataType.BITS)],
        [SimData(0, count=1, values=[False] * 16, datatype=DataType.BITS)],
        [SimData(0, count=1, values=0, datatype=DataType.REGISTERS)],
        [SimData(0, count=len(REGISTERS), values=0, datatype=DataType.REGISTERS)],
    )
    server = ModbusTcpServer(
        SimDevice(0, simdata=blocks, action=answer), address=(settings.host, int(settings.port or 0))
    )
    await server.serve_forever(background=True)
    try:
        async for verdict in feed.verdicts("modbus", missed=False):
            result.take(verdict)
    finally:
        await asyncio.shield(server.shutdown())  # type: ignore[no-untyped-call]  # pymodbus leaves it so
