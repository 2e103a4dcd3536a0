"""`driftline import` and `export`: labelled images from other tools, and the review set for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from daemon import build
from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.ledger.state import open_state
from memory.errors import DriftlineError

OPERATOR = "import"


def import_labelled(
    source: Annotated[Path, typer.Argument(help="an MVTec-style folder, or a Lookout for Vision manifest")],
    images: Annotated[Path | None, typer.Option(help="folder that holds the images which a manifest names")] = None,
    operator: Annotated[str, typer.Option("--operator", help="who says so, for the audit log")] = OPERATOR,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Teach from labelled images of another tool: good parts make a version, defects are judged and confirmed."""
    from daemon.datasets import imported
    from daemon.datasets.labelled import labelled
    from daemon.learning.teach import teach

    given = terminal.settings(config, overrides)
    found = labelled(source, images)
    defects = {one.path: one.region for one in found if one.defective}
    with build.only_one(given.state_dir), terminal.progress() as shown:
        track, opened = terminal.tracker(shown), open_state(given.state_dir)
        engine = build.engine(given, opened, build.extractor(given))
        made = teach([one.path for one in found if not one.defective], engine, opened.store, operator, track)
        engine.activate(opened.store.load(made.version))
        became = imported.learn(engine, opened.store, defects, operator, track)
        opened.ledger.close()
    refused = made.refused | became.refused
    told = f"{len(made.version.added)} good parts, {len(became.judged) - len(became.unlearned)} defects learned"
    if became.unlearned:
        told += f", {len(became.unlearned)} not learned ({became.why})"
    terminal.answer(
        {
            "version": became.version.number,
            "good": len(made.version.added),
            "defects": len(became.judged),
            "not_learned": list(became.unlearned),
            "held": became.why,
            "missed_before": list(became.missed),
            "refused": refused,
        },
        as_json=as_json,
        text=f"version {became.version.number}: {told}; {len(became.missed)} defects were missed before;"
        f" {len(refused)} images refused",
    )


def export_reviewed(
    form: Annotated[Literal["label-studio", "mvtec"], typer.Argument(help="label-studio or mvtec")],
    out: Annotated[Path, typer.Argument(help="folder to write to")],
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Write the parts that people were asked about, with what they said, for another tool."""
    from daemon.datasets import export

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DriftlineError(
            expected="a new or empty folder",
            came=f"something is in {out}",
            do="name another; old parts are not mixed in",
        )
    given = terminal.settings(config, overrides)
    opened = open_state(given.state_dir)
    frames = export.reviewed(opened.ledger, opened.kept, given.source.max_pixels)
    counts = export.label_studio(frames, opened.kept, out) if form == "label-studio" else export.mvtec(frames, out)
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    terminal.answer(counts | {"out": str(out)}, as_json=as_json, text=f"{out}: {told}")
