"""What is deployed: backups of one line are rotated, and the package holds all that it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

DEPLOY = ROOT / "deploy"


def backed_up(tmp_path: Path, line: str, *, fails: bool = False) -> int:
    """Run the backup script of a line with a `driftline` that only makes the folder."""
    script = (DEPLOY / "driftline-backup").read_text().replace("/var/lib/driftline/backups", str(tmp_path / "backups"))
    script = script.replace("/opt/driftline/bin/driftline", str(tmp_path / "driftline"))
    (tmp_path / "driftline").write_text("#!/bin/sh\n" + ("exit 2\n" if fails else 'mkdir "$2"\n'))
    (tmp_path / "driftline").chmod(0o755)
    (tmp_path / "script").write_text(script)
    return subprocess.run(["sh", tmp_path / "script", line], capture_output=True, check=False).returncode


def folders(tmp_path: Path, line: str) -> list[str]:
    return sorted(path.name for path in (tmp_path / "backups").glob(f"{line}-2*"))


def test_seven_backups_of_a_line_stay_and_all_of_other_lines(tmp_path: Path) -> None:
    for line in ("line1", "line1-left", "line1-2"):
        for day in range(10, 19):
            (tmp_path / "backups" / f"{line}-202601{day}T031000Z").mkdir(parents=True)
    old = tmp_path / "backups" / ".line1-20260101T031000Z-abc"
    old.mkdir()
    os.utime(old, (0, 0))
    assert backed_up(tmp_path, "line1") == 0
    assert not old.exists()
    kept = [name for name in folders(tmp_path, "line1") if not name.startswith("line1-2-")]
    assert len(kept) == 7
    assert kept[0] == "line1-20260113T031000Z"
    assert len(folders(tmp_path, "line1-left")) == len(folders(tmp_path, "line1-2")) == 9


def test_a_backup_that_fails_removes_no_older_one(tmp_path: Path) -> None:
    for day in range(10, 19):
        (tmp_path / "backups" / f"line1-202601{day}T031000Z").mkdir(parents=True)
    assert backed_up(tmp_path, "line1", fails=True) != 0
    assert len(folders(tmp_path, "line1")) == 9


def test_every_alert_is_answered_by_a_page_and_asks_for_metrics_that_are_there() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    metrics = (ROOT / "daemon" / "console" / "health.py").read_text()
    (group,) = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())["groups"]
    for rule in group["rules"]:
        assert f"### {rule['alert']}\n" in page
        names = re.findall(r"driftline_[a-z_]+", rule["expr"])
        assert names
        assert all(f'"{name}"' in metrics for name in names)


@pytest.mark.slow
def test_what_is_installed_starts(tmp_path: Path) -> None:
    """Not from the checkout, where every file lies anyway."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    copy = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    subprocess.run([*install, "--target", str(tmp_path / "installed"), str(copy)], check=True, capture_output=True)
    libraries = sysconfig.get_path("purelib")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "installed"), libraries])}
    modules = "daemon.cli.main, daemon.schedule, daemon.console.app, memory.extract, memory.patch_bank.learner"
    tried = f"import {modules}, memory; print(memory.__file__)"
    run = subprocess.run(  # -S: without the files by which the checkout is installed
        [sys.executable, "-S", "-c", tried], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert str(tmp_path / "installed") in run.stdout
