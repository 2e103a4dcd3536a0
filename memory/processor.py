"""Tells faiss' linear algebra what processor it runs on, before it is loaded.

faiss' wheel carries an OpenBLAS of 2021 (0.3.15) that takes newer processors for old ones: on a Xeon of today the
search took three to four times as long as with the kernels named here. What it finds is measured again by us, so
distances stay the same.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
CPUINFO = Path("/proc/cpuinfo")


def kernels(flags: Collection[str]) -> str | None:
    """The name of the newest kernels in that OpenBLAS that a processor with these `flags` can run."""
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(flags):
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= set(flags) else None


def tell_openblas(environ: MutableMapping[str, str], cpuinfo: Path = CPUINFO) -> None:
    """Name the kernels in `environ`, unless they are named already or the processor is not known (only Linux tells)."""
    if VARIABLE in environ or not cpuinfo.exists():
        return
    line = next((text for text in cpuinfo.read_text().splitlines() if text.startswith("flags")), "")
    name = kernels(line.split())
    if name:
        environ[VARIABLE] = name
