"""`driftline bench`: a detector on a published data set, by the field's figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from daemon import build
from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.evaluation.installed import need_scikit_learn
from daemon.settings.load import ConfigError, Settings
from memory.durable import write_draft

if TYPE_CHECKING:
    from daemon.datasets.labelled import DataSet  # OpenCV comes with it

COLUMNS = {
    "auroc": "AUROC",
    "ap": "AP",
    "f1_max": "F1-max",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
    "spro": "sPRO",
    "seg_f1": "SegF1",
    "box_map": "mAP of boxes",
    "teach_s": "teach, s",
    "frame_ms": "a frame, ms",
    "peak_mb": "memory, MB",
}
PLACES = {"teach_s": 1, "frame_ms": 0, "peak_mb": 0}
MEAN = "mean"
RESULTS = Path("bench-results")


def bench(
    dataset: Annotated[str, typer.Argument(help="layout of the data set: mvtec-ad, folder, …; see docs/field.md")],
    root: Annotated[Path, typer.Option(help="the folder as it was unpacked")],
    detector: Annotated[str | None, typer.Option(help="kind of detector; default: memory.detector")] = None,
    category: Annotated[list[str] | None, typer.Option(help="judge this category alone; repeatable")] = None,
    out: Annotated[Path, typer.Option(help="folder for figures and contact sheets; kept for the next run")] = RESULTS,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Teach a detector each category of a data set, judge its test images, and print the field's figures. A run that
    was stopped goes on where it was."""
    need_scikit_learn()
    from daemon.datasets.readers.registry import layout
    from daemon.evaluation import contact_sheet
    from daemon.evaluation.figures import figures
    from daemon.evaluation.judged import judge

    named = [f"memory.detector={detector}"] if detector else []
    settings = terminal.settings(config, [*(overrides or ()), *named])
    chosen = layout(dataset)
    folders = chosen.folders(root)
    if category:
        folders = {name: folders[name] for name in _known(category, folders)}
    backbone = build.extractor(settings)
    below = out / dataset / settings.memory.detector
    below.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, Any]] = {}
    for name, folder in folders.items():
        data = chosen.read(folder)
        key = _key(settings, backbone.fingerprint, folder, data)
        rows[name] = _earlier(below / f"{name}.json", key)
        if rows[name]:
            continue
        with TemporaryDirectory(prefix="driftline-bench-") as state, terminal.progress() as bars:
            aside = settings.model_copy(update={"state_dir": Path(state)})
            judged = judge(data, aside, backbone, Path(state), terminal.tracker(bars))
        (below / f"{name}.html").write_text(
            contact_sheet.render(f"{dataset}: {name}", judged, settings.source), encoding="utf-8"
        )
        rows[name] = {**figures(judged), "ignored": list(data.ignored), "key": key}
        figures_file = below / f"{name}.json"
        write_draft(figures_file, json.dumps(rows[name], indent=1).encode()).replace(
            figures_file
        )  # whole or not at all
    table = _table(rows)
    (below / "table.md").write_text(table)
    terminal.answer(rows, as_json=as_json, text=f"{table}\nfigures and contact sheets: {below}")


def _known(category: list[str], folders: Mapping[str, Path]) -> list[str]:
    for name in category:
        if name not in folders:
            raise ConfigError(expected=f"a category among {', '.join(folders)}", came=name, do="correct --category")
    return category


def _key(settings: Settings, fingerprint: str, folder: Path, data: DataSet) -> str:
    """What figures depend on: this program, labels, files, backbone, and the settings of teaching and scoring."""
    told = settings.model_dump(mode="json", include={"extractor", "memory", "scene", "policy", "source"})
    below = folder if folder.is_dir() else folder.parent  # of a manifest
    stats = [(path, path.stat()) for path in sorted(below.rglob("*")) if path.is_file()]
    files = [f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats]
    files += [f"{one.path} {one.split} {one.kind} {one.annotation}" for one in data.images]
    return hashlib.sha256(
        json.dumps([version("driftline"), list(COLUMNS), fingerprint, told, files], sort_keys=True).encode()
    ).hexdigest()[:16]


def _earlier(path: Path, key: str) -> dict[str, Any]:
    """The figures of an earlier run, if nothing that they depend on has changed."""
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("key") == key else {}


def _table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"| | taught | good, bad | {' | '.join(COLUMNS.values())} |", "| --- |" + " --- |" * (len(COLUMNS) + 2)]
    for name, row in rows.items():
        cells = " | ".join(_cell(row[column], column) for column in COLUMNS)
        lines.append(f"| {name} | {row['taught']} | {row['good']}, {row['bad']} | {cells} |")
    if len(rows) > 1:
        means = {column: _mean([row[column] for row in rows.values()]) for column in COLUMNS}
        lines.append(f"| {MEAN} | | | {' | '.join(_cell(means[column], column) for column in COLUMNS)} |")
    return "\n".join(lines)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _cell(value: float | None, column: str) -> str:
    return "" if value is None else f"{value:.{PLACES.get(column, 3)}f}"
