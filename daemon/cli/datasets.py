"""`driftline import` and `export`: labelled images from other tools, and the review set for them."""

from __future__ import annotations

from dataclasses import replace
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
    from daemon.datasets.readers import lookout, mvtec
    from daemon.learning.teach import teach

    settings = terminal.settings(config, overrides)
    parts = mvtec.read(source) if source.is_dir() else lookout.read(source, images or source.parent)
    page = settings.source.page
    defects = {one.path: replace(one, page=page).box for one in parts.images if one.defective}
    with build.only_one(settings.state_dir), terminal.progress() as bars:
        track, opened = terminal.tracker(bars), open_state(settings.state_dir)
        engine = build.engine(settings, opened, build.extractor(settings))
        taught = teach([one.path for one in parts.images if not one.defective], engine, opened.store, operator, track)
        engine.activate(opened.store.load(taught.version))
        outcome = imported.learn(engine, opened.store, defects, operator, track)
        opened.ledger.close()
    refused = taught.refused | outcome.refused
    summary = f"{len(taught.version.added)} good parts, {len(outcome.judged) - len(outcome.unlearned)} defects learned"
    if outcome.unlearned:
        summary += f", {len(outcome.unlearned)} not learned ({outcome.why})"
    terminal.answer(
        {
            "version": outcome.version.number,
            "good": len(taught.version.added),
            "defects": len(outcome.judged),
            "not_learned": list(outcome.unlearned),
            "held": outcome.why,
            "missed_before": list(outcome.missed),
            "refused": refused,
            "ignored": list(parts.ignored),
        },
        as_json=as_json,
        text=f"version {outcome.version.number}: {summary}; {len(outcome.missed)} defects were missed before;"
        f" {len(refused)} images refused{''.join(f'{chr(10)}left out: {line}' for line in parts.ignored)}",
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
    settings = terminal.settings(config, overrides)
    opened = open_state(settings.state_dir)
    frames = export.reviewed(opened.ledger, opened.kept, settings.source)
    if form == "label-studio":
        counts = export.label_studio(frames, opened.kept, settings.source, out)
    else:
        counts = export.mvtec(frames, out)
    summary = ", ".join(f"{count} {what}" for what, count in counts.items())
    terminal.answer(counts | {"out": str(out)}, as_json=as_json, text=f"{out}: {summary}")
