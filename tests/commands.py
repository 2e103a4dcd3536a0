"""The command, run in this process."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from daemon.cli.main import main


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, Any]:
    """Run a command in this process; returns the exit code and its JSON answer."""
    monkeypatch.setattr(sys, "argv", ["driftline", *map(str, words), "--json"])
    capsys.readouterr()
    try:
        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    output = capsys.readouterr().out
    return code, json.loads(output) if output.strip() else None
