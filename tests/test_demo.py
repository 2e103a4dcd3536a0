"""The demo: its script, and the whole of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from daemon.datasets import demo
from daemon.datasets.rendered import Flaw


def test_the_demo_s_script_has_all_it_promises() -> None:
    shots = demo.script()
    assert len({shot.frame_id for shot in shots}) == len(shots)
    assert {shot.flaw for shot in shots} == {None, *Flaw}
    assert max(shot.scene.light for shot in shots) > 1.2
    assert max(shot.scene.wear for shot in shots) == 1.0


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli.main", "demo", "--out", tmp_path, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    story = json.loads(done.stdout)
    assert "careless-1900" in story["refused as defect-like"]
    assert story["remedied by un-admitting patches"] == "missed-900"
    assert "answers by bert" in story["revoked"]
    assert story["features"].startswith("driftline-tiny")
    assert story["versions"] >= 4
    assert "in-process broker" in done.stderr
    assert (tmp_path / "report.html").stat().st_size > 50_000
