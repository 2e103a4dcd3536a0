"""`driftline import` and `export`: labelled images from other tools, and the review set for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from daemon import build, feedback, terminal
from daemon.terminal import Config, Json, Set

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
    from daemon import lesson
    from daemon.labelled import labelled
    from daemon.sources import Frame
    from daemon.teach import teach
    from memory.version import Version

    given = terminal.settings(config, overrides)
    found = labelled(source, images)
    with build.only_one(given.state_dir), terminal.progress() as shown:
        track, opened = terminal.tracker(shown), build.state(given)
        engine = build.engine(given, opened, build.extractor(given))
        made = teach([one.path for one in found if not one.defective], engine, opened.store, operator, track)
        engine.activate(opened.store.load(made.version))
        defects, missed = [one for one in found if one.defective], []
        for one in track(defects, "defects"):
            name, data = str(one.path), one.path.read_bytes()
            row = engine.judge(Frame(name, one.path.stem, OPERATOR, build.clock_ms(), data))
            if row["verdict"] != "NG":
                missed.append(name)
            said = feedback.answer(name, "defect", operator, json.dumps(one.region) if one.region else None)
            feedback.record(opened.ledger, said, build.clock_ms())
        learned = lesson.learn(engine, opened.store, "import") if defects else None
        head = learned.number if isinstance(learned, Version) else made.version.number
        opened.ledger.close()
    told = {"version": head, "good": len(made.version.added), "defects": len(defects), "missed_before": missed}
    terminal.answer(
        told | {"refused": made.refused},
        as_json=as_json,
        text=f"version {head}: {told['good']} good parts and {len(defects)} defects learned, {len(missed)} of which"
        f" were missed before; {len(made.refused)} images refused",
    )


def export_reviewed(
    form: Annotated[Literal["label-studio", "mvtec"], typer.Argument(help="label-studio or mvtec")],
    out: Annotated[Path, typer.Argument(help="folder to write to")],
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Write the parts that people were asked about, with what they said, for another tool."""
    from daemon import export

    given = terminal.settings(config, overrides)
    opened = build.state(given)
    frames = export.reviewed(opened.ledger, opened.kept, given.source.max_pixels)
    counts = export.label_studio(frames, opened.kept, out) if form == "label-studio" else export.mvtec(frames, out)
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    terminal.answer(counts | {"out": str(out)}, as_json=as_json, text=f"{out}: {told}")
