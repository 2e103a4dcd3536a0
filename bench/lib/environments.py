"""Environments of their own for peers' packages, which are made once, beside the checkout's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.lib.processes import ROOT

ANOMALIB = "anomalib[core]==2.7.0"
QUIET = {"TQDM_DISABLE": "1"}
ALIBI_DETECT = "alibi-detect[torch]==0.13.0"


def anomalib() -> Path:
    """The interpreter of anomalib's environment, which lies on top of ours, so that torch is the same."""
    return _python(ROOT / ".venv-anomalib", ANOMALIB, on_ours=True)


def alibi_detect() -> Path:
    """The interpreter of alibi-detect's environment; it needs NumPy 1, so nothing is shared. It has matplotlib too."""
    return _python(ROOT / ".venv-peers", ALIBI_DETECT, on_ours=False)


def run(interpreter: Path, module: str, *arguments: str | Path) -> bool:
    """Run one of the benchmarks' modules by an interpreter, what it prints on stderr; whether it succeeded."""
    command = [interpreter, "-W", "ignore", "-m", module, *arguments]
    environ = os.environ | QUIET
    return subprocess.run(command, check=False, stdout=sys.stderr, cwd=ROOT, env=environ).returncode == 0


def _python(home: Path, package: str, *, on_ours: bool) -> Path:
    """The interpreter of an environment that holds a peer's package, made where it is missing."""
    interpreter = home / "bin" / "python"
    if not interpreter.exists():
        print(f"making {home} for {package}, once", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        if on_ours:
            site = next((home / "lib").glob("python3*")) / "site-packages"
            (site / "driftline.pth").write_text(str(Path(np.__file__).resolve().parents[1]))
        subprocess.run([str(interpreter), "-m", "pip", "install", "--quiet", package], check=True)
    return interpreter
