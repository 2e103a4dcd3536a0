"""The search runs on kernels that fit the processor, whatever faiss' own library takes it for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import memory.search
from memory.processor import VARIABLE, kernels, tell_openblas

WIDE = "avx2 fma avx512f avx512bw avx512dq avx512vl avx512_bf16"


@pytest.mark.parametrize(
    ("flags", "name"), [(WIDE, "SkylakeX"), ("avx2 fma", "Haswell"), ("avx2", None), ("avx512f avx2 fma", "Haswell")]
)
def test_the_newest_kernels_that_can_run_are_named(flags: str, name: str | None) -> None:
    assert kernels(flags.split()) == name


def test_what_the_user_named_stays(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {WIDE}\n")
    mine = {VARIABLE: "Zen"}
    tell_openblas(mine, cpuinfo)
    assert mine == {VARIABLE: "Zen"}
    empty: dict[str, str] = {}
    tell_openblas(empty, cpuinfo)
    assert empty == {VARIABLE: "SkylakeX"}


def test_where_the_processor_is_not_told_nothing_is_named(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    tell_openblas(environ, tmp_path / "nothing")
    (tmp_path / "arm").write_text("processor : 0\nFeatures : asimd\n")
    tell_openblas(environ, tmp_path / "arm")
    assert environ == {}


def test_it_is_named_before_faiss_is_loaded() -> None:
    told: dict[str, str] = {}
    tell_openblas(told)
    assert memory.search.Index
    assert told.get(VARIABLE) is None or VARIABLE in os.environ
