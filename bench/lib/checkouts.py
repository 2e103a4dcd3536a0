"""Another revision of Driftline beside this checkout, so that both are measured in the same run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.lib.processes import ROOT


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
