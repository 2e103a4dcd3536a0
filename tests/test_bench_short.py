"""Every published benchmark runs: its short form ends well and prints the table that docs/benchmarks.md has of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

BENCHMARKS = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem != "__init__")
NEEDS_REDIS = {"chaos", "console", "kill", "soak", "teach_by_page", "trip"}
SECTIONS = re.split(r"^## ", (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.bench
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_has_a_short_form_that_runs(name: str) -> None:
    if name in NEEDS_REDIS and shutil.which("redis-server") is None and not os.environ.get("CI"):
        pytest.skip("no redis-server on the PATH")
    # One thread each, since the suite runs two at once.
    without_data = os.environ | {"DRIFTLINE_SHARED": "/nowhere", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", f"bench.{name}", "--short"]
    run = subprocess.run(command, cwd=ROOT, env=without_data, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "nan" not in run.stdout
    if name != "kill":  # prints JSON
        assert re.search(r"^\|( --- \|)+$", run.stdout, flags=re.MULTILINE), "a table"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_tables_name_the_command_and_the_commit_that_they_were_made_at(name: str) -> None:
    made_by = [section for section in SECTIONS if f"`python -m bench.{name}" in section]
    assert made_by, f"docs/benchmarks.md has no table of bench.{name}"
    for section in made_by:
        for paragraph in section.split("\n\n"):
            if f"`python -m bench.{name}" in paragraph:
                assert re.search(r"\b(at|of) [0-9a-f]{7}\b", paragraph), paragraph


def test_no_benchmark_is_run_by_its_path() -> None:
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.py")]
    assert not [str(path) for path in texts if re.search(r"python bench/", path.read_text(encoding="utf-8"))]
