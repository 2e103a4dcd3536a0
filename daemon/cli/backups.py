"""`driftline backup` and `restore`: the state of a line, copied and brought back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set


def back_up(
    out: Annotated[Path, typer.Argument(help="folder to make, on another disk")],
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Copy all that a line knows, while it runs: versions, verdicts, answers and kept images."""
    from daemon.ledger import backup

    head = backup.back_up(terminal.settings(config, overrides).state_dir, out)
    number = head.number if head else None
    terminal.answer({"backup": str(out), "version": number}, as_json=as_json, text=f"{out}: version {number}")


def restore(
    backup_folder: Annotated[Path, typer.Argument(metavar="BACKUP", help="folder of `driftline backup`")],
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Bring a backup back, to a state_dir that is not there yet."""
    from daemon.ledger import backup

    state_dir = terminal.settings(config, overrides).state_dir
    head = backup.restore(backup_folder, state_dir)
    number = head.number if head else None
    terminal.answer({"state_dir": str(state_dir), "version": number}, as_json=as_json, text=f"version {number} judges")
