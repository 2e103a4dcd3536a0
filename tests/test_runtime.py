"""Libraries run on kernels that fit the processor, and do not take the cores from one another."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from servers import fresh_python

from memory.runtime import SLEEPING, VARIABLE, configure_libraries, kernels

WIDE = "avx2 fma avx512f avx512bw avx512dq avx512vl avx512_bf16"


@pytest.mark.parametrize(
    ("flags", "name"), [(WIDE, "SkylakeX"), ("avx2 fma", "Haswell"), ("avx2", None), ("avx512f avx2 fma", "Haswell")]
)
def test_the_newest_kernels_that_can_run_are_named(flags: str, name: str | None) -> None:
    assert kernels(flags.split()) == name


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {WIDE}\n")
    mine = {VARIABLE: "Zen", "OMP_WAIT_POLICY": "ACTIVE"}
    configure_libraries(mine, cpuinfo)
    assert mine == SLEEPING | {VARIABLE: "Zen", "OMP_WAIT_POLICY": "ACTIVE"}
    empty: dict[str, str] = {}
    configure_libraries(empty, cpuinfo)
    assert empty == SLEEPING | {VARIABLE: "SkylakeX"}


def test_where_the_processor_is_not_told_no_kernels_are_named(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    configure_libraries(environ, tmp_path / "nothing")
    (tmp_path / "arm").write_text("processor : 0\nFeatures : asimd\n")
    configure_libraries(environ, tmp_path / "arm")
    assert environ == SLEEPING


def test_libraries_are_told_before_any_is_loaded() -> None:
    script = (
        "import sys, memory.runtime as processor\n"
        "told = processor.configure_libraries\n"
        "def first(*given):\n"
        "    assert not {'numpy', 'torch', 'faiss'} & set(sys.modules), sorted(sys.modules)\n"
        "    told(*given)\n"
        "processor.configure_libraries = first\n"
        "del sys.modules['memory']\n"
        "import daemon.cli.main\n"
    )
    done = fresh_python(script)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone has mallopt")
def test_threads_that_come_and_go_share_one_heap() -> None:
    script = (
        "import ctypes, sys, threading\n"
        "from memory.runtime import keep_freed_memory\n"
        "assert keep_freed_memory()\n"
        "libc, together = ctypes.CDLL(None), threading.Barrier(8)\n"
        "def work():\n"
        "    libc.malloc(1000)\n"
        "    together.wait()\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "libc.fopen.restype = ctypes.c_void_p\n"
        "out = ctypes.c_void_p(libc.fopen(b'/dev/stdout', b'w'))\n"
        "libc.malloc_info(0, out); libc.fclose(out)\n"
    )
    done = fresh_python(script)
    assert done.stdout.count("<heap nr=") == 1, done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone has malloc_trim")
def test_freed_memory_between_what_lives_is_given_back() -> None:
    script = (
        "import ctypes\n"
        "from memory.runtime import give_back_freed_memory, keep_freed_memory\n"
        "assert keep_freed_memory()\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * 4096\n"
        "blocks = [libc.malloc(1 << 20) for _ in range(100)]\n"
        "[ctypes.memset(block, 1, 1 << 20) for block in blocks]\n"
        "[libc.free(block) for block in blocks[::2]]\n"
        "before = resident()\n"
        "give_back_freed_memory()\n"
        "print(before - resident())\n"
    )
    done = fresh_python(script)
    assert int(done.stdout) > 40 << 20, done.stdout + done.stderr
