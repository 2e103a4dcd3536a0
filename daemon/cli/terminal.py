"""Options, answers and progress that all commands share."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from daemon.clock import minute, to_the_minute
from daemon.inference.backend import Scorer
from daemon.ledger.database import DISK_ERRORS
from daemon.settings.load import Settings, load
from daemon.settings.logs import log_to
from memory.errors import DriftlineError
from policies.quickest import Choice

T = TypeVar("T")
CONFIG_FILE = Path("config.yaml")

Config = Annotated[Path | None, typer.Option("--config", "-c", help="settings file; default: ./config.yaml if there")]
Set = Annotated[list[str] | None, typer.Option("--set", help="override a setting: section.key=value; repeatable")]
Json = Annotated[bool, typer.Option("--json", help="answer in JSON on stdout")]

REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
OF_A_DISK = re.compile("disk|readonly|unable to open")  # as SQLite words it

stdout = Console()
stderr = Console(stderr=True)


def read_settings(config: Path | None, overrides: list[str] | None) -> Settings:
    """The settings for a command. Raises ConfigError."""
    path = config or (CONFIG_FILE if CONFIG_FILE.exists() else None)
    return load(path, overrides or (), os.environ)


def settings(config: Path | None, overrides: list[str] | None) -> Settings:
    """The settings for a command, with logging set up. Raises ConfigError."""
    loaded = read_settings(config, overrides)
    log_to(loaded.log_format)
    return loaded


def answer(value: Mapping[str, Any] | Sequence[Any], *, as_json: bool, text: str | Table) -> None:
    """Answer on stdout: one JSON document, or text for people."""
    if as_json:
        stdout.print_json(json.dumps(value, default=str))
    else:
        stdout.print(text, markup=False)


def utc_ms(at: datetime | None) -> int | None:
    """A time that was named on the command line, in UTC, as Unix time in ms; None for none."""
    return None if at is None else int(at.replace(tzinfo=UTC).timestamp() * 1000)


def judged_by(scorer: Scorer) -> str:
    """The backend that judges, in words, and why it is not the configured one, or how it was chosen."""
    backend = f"judged by {scorer.extractor.backend.description}"
    if scorer.refused:
        return f"{backend}, since extractor.backend was refused: {scorer.refused}"
    return f"{backend}; {chosen(scorer.choice)}" if scorer.choice else backend


def chosen(choice: Choice) -> str:
    """How the quickest backend was chosen, in words."""
    times = ", ".join(f"{name} {choice.ms[name]:.1f} ms" for name in sorted(choice.ms, key=choice.ms.__getitem__))
    reasons = [f"{name} refused: {why}" for name, why in choice.refused.items()]
    return "; ".join([f"for a part {times}"] * bool(times) + reasons)


def scene(drift: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of a table on the scene of a running service: how far it is trusted, and every change."""
    state = f"{drift['trust']}, light {drift['light_percent']:+} % against the taught parts"
    if drift.get("regime"):
        state += f", in the regime first seen {to_the_minute(drift['regime'])} UTC"
    if drift["rewarmed_frames"]:
        state += f"; watched anew from {drift['rewarmed_frames']} recorded frames"
    rows = [("scene", state)]
    for card in drift["cards"]:
        since = f"{minute(card['since_ms'])} UTC"
        likely = f"likely {card['reason']}. {card['action'].capitalize()}. To do: {card['do']}"
        rows.append((card["cause"], f"{card['amount']} since {since}, {likely}"))
    return rows


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for people."""
    filled = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        filled.add_column(column)
    for row in rows:
        filled.add_row(*(_plain(cell) for cell in row))
    return filled


def _plain(cell: object) -> str:
    """A value as text for people, each element on a line of its own."""
    if isinstance(cell, Mapping):
        return "\n".join(f"{key}: {_indented(_plain(value))}" for key, value in cell.items())
    if isinstance(cell, list | tuple):
        between = ", " if all(isinstance(item, int | float) for item in cell) else "\n"
        return between.join(map(_plain, cell)) or "none"
    return "" if cell is None else str(cell)


def _indented(text: str) -> str:
    return text if "\n" not in text else "\n" + "\n".join(f"  {line}" for line in text.splitlines())


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display with an estimate of the time left, on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr) as bars:
        yield bars


def tracker(bars: Progress) -> Any:
    """A `Track` that shows its progress in these bars."""

    def track(items: Sequence[T], what: str) -> Iterable[T]:
        return bars.track(items, description=what)

    return track


class DiskRefuses(DriftlineError):
    """The disk is full, away, or not ours to write on."""


def told(command: Callable[[], None]) -> None:
    """Run a command; an expected failure is one readable line on stderr (or JSON on stdout) and exit code 2."""
    try:
        with _disk_faults_told():
            command()
    except DriftlineError as error:
        if "--json" in sys.argv:
            body = {"error": type(error).__name__, "expected": error.expected, "came": error.came, "do": error.do}
            stdout.print_json(json.dumps(body))
        text = f": expected {error.expected}\n  came: {error.came}\n  do:   {error.do}"
        stderr.print(Text.assemble((type(error).__name__, "bold red"), text))
        sys.exit(2)


@contextmanager
def _disk_faults_told() -> Iterator[None]:
    """Turns an error of the disk into DiskRefuses; others pass."""
    try:
        yield
    except DISK_ERRORS as error:
        if getattr(error, "errno", None) not in REFUSED and not OF_A_DISK.search(str(error)):
            raise
        raise DiskRefuses(
            expected="a disk that takes what the command writes, and gives what it reads",
            came=f"{type(error).__name__}: {error}",
            do="free space, or give the rights back; `driftline doctor` looks at the disk",
        ) from error
