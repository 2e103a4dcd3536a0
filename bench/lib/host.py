"""What this machine says of itself while something is measured on it."""

from __future__ import annotations

import os
from pathlib import Path


def stolen() -> tuple[int, int]:
    """Ticks of all processors that the host took for other machines since the start, and all ticks."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def processor_s(pid: int) -> float:
    """How long a process has used the processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
