"""Another revision of Driftline beside this checkout, so that both are measured in the same run."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.lib.processes import ROOT


def host_and_medians(told: Mapping[str, Mapping[str, Sequence[float]]], host_percent: float, form: str) -> None:
    """Print the host's share of the processors, and a table of the medians of each revision's figures."""
    print(f"The host took {host_percent:.1f} % of the processors.\n")
    heads = list(next(iter(told.values())))
    print(f"| revision | {' | '.join(heads)} |\n| --- |{' --- |' * len(heads)}")
    for revision, figures in told.items():
        print(f"| {revision} | " + " | ".join(f"{statistics.median(figures[head]):{form}}" for head in heads) + " |")


@contextmanager
def checkouts(revision: str | None, folder: Path) -> Iterator[dict[str, Path]]:
    """This checkout, and a worktree of the other revision, by name."""
    found = {"this": ROOT}
    if revision is None:
        yield found
        return
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", str(folder / "other"), revision], check=True, capture_output=True)
    try:
        yield {revision: folder / "other", **found}
    finally:
        subprocess.run([*git, "remove", "--force", str(folder / "other")], check=True)
