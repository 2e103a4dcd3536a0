"""`driftline import` and `export`: labelled images from other tools, and the review set for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from daemon import build, terminal
from daemon.terminal import Config, Json, Set
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
    from daemon import imported, lesson
    from daemon.frames import ImageRejected
    from daemon.labelled import labelled
    from daemon.teach import teach
    from memory.version import Version
    from policies.admission import Hold

    given = terminal.settings(config, overrides)
    found = labelled(source, images)
    defects = [(one, one.region) for one in found if one.defective]
    with build.only_one(given.state_dir), terminal.progress() as shown:
        track, opened = terminal.tracker(shown), build.state(given)
        engine = build.engine(given, opened, build.extractor(given))
        made = teach([one.path for one in found if not one.defective], engine, opened.store, operator, track)
        engine.activate(opened.store.load(made.version))
        refused, judged = dict(made.refused), []
        for one, region in track(defects, "defects"):
            file = str(one.path)
            try:
                judged.append((file, imported.confirm(engine, one.path, region, operator)["verdict"]))
            except ImageRejected as error:
                refused[file] = str(error)
                opened.ledger.event(build.clock_ms(), "import_refused", file=file, reason=str(error))
        learned = lesson.learn(engine, opened.store, imported.SOURCE) if lesson.due(engine, 1) else None
        head = learned.number if isinstance(learned, Version) else made.version.number
        opened.ledger.close()
    missed = [file for file, verdict in judged if verdict != "NG"]
    what = f"{len(judged)} defects"
    if isinstance(learned, Hold):
        what += f" that are not learned: {learned.reason}"
    elif learned is not None and not isinstance(learned, Version):
        what += f" that are on trial: the next {given.policy.shadow_frames} parts decide"
    terminal.answer(
        {
            "version": head,
            "good": len(made.version.added),
            "defects": len(judged),
            "held": learned.reason if isinstance(learned, Hold) else None,
            "missed_before": missed,
            "refused": refused,
        },
        as_json=as_json,
        text=f"version {head}: {len(made.version.added)} good parts and {what}; {len(missed)} defects were missed"
        f" before; {len(refused)} images refused",
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

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DriftlineError(
            expected="a new or empty folder",
            came=f"something is in {out}",
            do="name another; old parts are not mixed in",
        )
    given = terminal.settings(config, overrides)
    opened = build.state(given)
    frames = export.reviewed(opened.ledger, opened.kept, given.source.max_pixels)
    counts = export.label_studio(frames, opened.kept, out) if form == "label-studio" else export.mvtec(frames, out)
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    terminal.answer(counts | {"out": str(out)}, as_json=as_json, text=f"{out}: {told}")
