"""Scores of anomalib's detectors, from a process of their own environment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.lib import environments
from bench.lib.cases import Case


def scores(
    every: Iterable[Case], peers: Sequence[str], overrides: Sequence[str], folder: Path
) -> dict[str, dict[str, list[float]]]:
    """The scores by peer and set (`rows`)."""
    found = rows(every, peers, overrides, folder)
    return {peer: {name: row["scores"] for name, row in by_set.items()} for peer, by_set in found.items()}


def rows(
    every: Iterable[Case], peers: Sequence[str], overrides: Sequence[str], folder: Path
) -> dict[str, dict[str, dict[str, Any]]]:
    """What each peer made of each set, fitted to all that the set teaches, by peer and set: `scores`, `fit_s`,
    `frame_ms`, and `peak_mb`, the most memory that the process has held so far. Raises SystemExit where they fail."""
    task, result = folder / "task.json", folder / "result.json"
    cases = {
        case.name: {"taught": [str(path) for path in case.taught], "shown": [str(shown.path) for shown in case.shown]}
        for case in every
    }
    task.write_text(json.dumps({"set": list(overrides), "peers": peers, "cases": cases}))
    if not environments.run(environments.anomalib(), "bench.lib.zoo_anomalib", task, result):
        raise SystemExit("anomalib failed: see above")
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(result.read_text())
    return found
