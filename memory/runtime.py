"""Settings of the numeric libraries for this machine: processor kernels, threads and freed memory.

faiss' wheel carries an OpenBLAS of 2021 (0.3.15) that takes newer processors for old ones: on a Xeon of today the
search took three to four times as long as with the kernels named here. We measure again whatever the search returns, so
distances stay the same.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from pathlib import Path
from threading import local

VARIABLE = "OPENBLAS_CORETYPE"
# torch, faiss, numpy and OpenVINO have threads of their own, which spin for tens of milliseconds after each call and
# take the cores from one another: a frame took twice as long.
SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}  # 2 to the power of 4 turns
_thread = local()
_count: int | None = None  # of CPU threads (`use_threads`)
CPUINFO = Path("/proc/cpuinfo")
NO_MEMORY = ("out of memory", "can't allocate memory", "bad_alloc", "bad allocation")
# glibc's malloc.h: options of mallopt, and what they are set to; the first, in bytes, takes no more.
KEPT = {-3: 32 << 20, -1: 256 << 20, -8: 1}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX


def kernels(flags: Collection[str]) -> str | None:
    """The name of the newest kernels in that OpenBLAS that a processor with these `flags` can run."""
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(flags):
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= set(flags) else None


def configure_libraries(environ: MutableMapping[str, str], cpuinfo: Path = CPUINFO) -> None:
    """Set in `environ`, where not set already, the kernels to use and that idle threads sleep at once."""
    for variable, value in SLEEPING.items():
        environ.setdefault(variable, value)
    if VARIABLE in environ:
        return
    name = kernels(instructions(cpuinfo).split())
    if name:
        environ[VARIABLE] = name


def processor(cpuinfo: Path = CPUINFO) -> str:
    """The processor's model name, or its architecture where the system does not name it."""
    return _told_of_processor("model name", cpuinfo) or platform.machine()


def instructions(cpuinfo: Path = CPUINFO) -> str:
    """The processor's instructions, as the system names them; empty where it does not."""
    return _told_of_processor("flags", cpuinfo)


def _told_of_processor(what: str, cpuinfo: Path) -> str:
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((text.split(":", 1)[1].strip() for text in lines if text.startswith(what)), "")


def gpus(devices: Path = Path("/dev")) -> tuple[str, ...]:
    """The GPUs that the system's drivers show, by the names of their devices."""
    return tuple(sorted(each.name for each in devices.glob("nvidia[0-9]*")))


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, which is no word on what was computed; torch and OpenVINO raise RuntimeError for it."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


def keep_freed_memory() -> bool:
    """Let this process reuse the memory that it frees, instead of asking the kernel for zeroed pages at every image.
    Returns whether the C library can (glibc's mallopt).

    A network's maps are larger than what glibc keeps by itself: MobileNetV2 took 27 ms an image, and takes 15. All
    threads share one heap: with one for each, what a thread has freed no other uses, and a line of 1.1 GB took 1.5.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, size) == 1 for option, size in KEPT.items())


def give_back_freed_memory() -> None:
    """Give the kernel every page that this process has freed, by glibc's malloc_trim; nothing where there is none.

    What is kept for the next image lies between what lives longer: a heap of 210 MB in use grew by 74 to 204 MB a
    minute while frames came three times too fast.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def compute_alone() -> None:
    """Let the calling thread compute by itself alone from now on, on backends that give the same so."""
    _thread.alone = True


def computes_alone() -> bool:
    """Whether the calling thread is to compute by itself alone (`compute_alone`)."""
    return getattr(_thread, "alone", False)


def search_with(count: int) -> None:
    """Search with `count` CPU threads from now on, in the calling thread."""
    import faiss

    faiss.omp_set_num_threads(count)


def use_threads(count: int) -> None:
    """Compute and search with `count` CPU threads from now on, in the whole process; OpenCV by the calling thread
    alone, whose own threads wait for work awake and take the cores from the others."""
    import cv2

    global _count  # noqa: PLW0603  # as torch and faiss have one for the whole process
    _count = count
    cv2.setNumThreads(1)
    search_with(count)
    if "torch" in sys.modules:
        set_torch_threads()


def thread_count() -> int:
    """The number of CPU threads that this process computes with (`use_threads`); 1 where nobody has said."""
    return _count or 1


def set_torch_threads() -> None:
    """Let torch compute with the threads of `use_threads`, for whoever loads it."""
    import torch

    if _count is not None:
        torch.set_num_threads(_count)
