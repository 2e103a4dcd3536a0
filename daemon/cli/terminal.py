"""What every command shares: its options, how it answers, how it shows progress and how it fails."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from daemon import build
from daemon.clock import minute, to_the_minute
from daemon.inference.backend import Scorer
from daemon.settings.load import Settings, load

T = TypeVar("T")
CONFIG_FILE = Path("config.yaml")

Config = Annotated[Path | None, typer.Option("--config", "-c", help="settings file; default: ./config.yaml if there")]
Set = Annotated[list[str] | None, typer.Option("--set", help="override a setting: section.key=value; repeatable")]
Json = Annotated[bool, typer.Option("--json", help="answer in JSON on stdout")]

stdout = Console()
stderr = Console(stderr=True)


def settings(config: Path | None, overrides: list[str] | None) -> Settings:
    """The settings for a command, with logging set up. Raises ConfigError."""
    path = config or (CONFIG_FILE if CONFIG_FILE.exists() else None)
    made = load(path, overrides or (), os.environ)
    build.logging_to_stderr(made.log_format)
    return made


def answer(value: Mapping[str, Any] | Sequence[Any], *, as_json: bool, text: str | Table) -> None:
    """Answer on stdout: one JSON document, or text for people."""
    if as_json:
        stdout.print_json(json.dumps(value, default=str))
    else:
        stdout.print(text, markup=False)


def judged_by(judge: Scorer) -> str:
    """What computes the features that parts are judged by, and why it is not what was chosen."""
    made = f"judged by {judge.extractor.backend.description}"
    return f"{made}, since extractor.backend was refused: {judge.refused}" if judge.refused else made


def scene(drift: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a running service says of its scene: how far it is trusted, and a row for every change."""
    told = f"{drift['trust']}, light {drift['light_percent']:+} % against the taught parts"
    if drift.get("regime"):
        told += f", in the regime first seen {to_the_minute(drift['regime'])} UTC"
    if drift["rewarmed_frames"]:
        told += f"; watched anew from {drift['rewarmed_frames']} recorded frames"
    rows = [("scene", told)]
    for card in drift["cards"]:
        since = f"{minute(card['since_ms'])} UTC"
        likely = f"likely {card['reason']}. {card['action'].capitalize()}. To do: {card['do']}"
        rows.append((card["cause"], f"{card['amount']} since {since}, {likely}"))
    return rows


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for people."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column)
    for row in rows:
        made.add_row(*(_plain(cell) for cell in row))
    return made


def _plain(cell: object) -> str:
    """A value for people, each thing that it holds on a line of its own."""
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
    with Progress(*columns, console=stderr) as shown:
        yield shown


def tracker(shown: Progress) -> Any:
    """A `Track` for functions that walk through paths."""

    def track(items: Sequence[T], what: str) -> Iterable[T]:
        return shown.track(items, description=what)

    return track
