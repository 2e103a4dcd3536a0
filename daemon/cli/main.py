"""The `driftline` command."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from daemon import build
from daemon.cli import advise, backups, bench, console, datasets, doctor, offline, plant, run, terminal
from daemon.cli.audit import audit_app, report
from daemon.cli.region_file import read_region
from daemon.cli.terminal import Config, Json, Set
from daemon.cli.versions import config_app, versions_app
from daemon.clock import iso
from daemon.learning import answers
from daemon.ledger import provenance
from daemon.ledger.history import newest_events
from daemon.ledger.state import open_state
from daemon.reporting.geometry_text import geometry_text
from daemon.status import service_status
from daemon.streams import Stream

app = typer.Typer(
    help="Anomaly detection for production lines that follows drift, learns from operators and forgets no defect.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(versions_app, name="versions")
app.add_typer(config_app, name="config")
app.add_typer(audit_app, name="audit")
for command in (run.run, offline.replay, offline.score, offline.demo, console.console, console.token, plant.plant):
    app.command()(command)
app.command()(bench.bench)
app.command()(report)
app.command()(advise.advise)
app.command(name="backup")(backups.back_up)
app.command()(backups.restore)
app.command(name="import")(datasets.import_labelled)
app.command(name="export")(datasets.export_reviewed)
Who = Annotated[str, typer.Option("--operator", help="who says so, for the audit log")]


@app.command()
def teach(
    folder: Path,
    region: Annotated[
        Path | None, typer.Option(help="JSON file of the region to judge in; default: as the version before")
    ] = None,
    smallest_defect: Annotated[
        float | None,
        typer.Option(
            metavar="PX", help="side of the smallest defect to find, in pixels of the image; default: by scene"
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="image that turned out to be no good part; repeatable")
    ] = None,
    operator: Who = "line engineer",
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Make a version from a folder of images of good parts."""
    from daemon.learning import teach as teaching

    settings = terminal.settings(config, overrides)
    drawn = read_region(region) if region else None
    paths = teaching.images_in(folder)
    opened, backbone = open_state(settings.state_dir), build.extractor(settings)
    engine = build.engine(settings, opened, backbone)
    with terminal.progress() as bars:
        track = terminal.tracker(bars)
        taught = teaching.teach(paths, engine, opened.store, operator, track, drawn, smallest_defect, without or ())
    threshold, scorer = taught.threshold, engine.select_backend(opened.store.load(taught.version))
    terminal.answer(
        {
            "version": taught.version.number,
            "bank_size": taught.version.bank_size,
            "threshold": threshold.value,
            "rate": threshold.rate,
            "guaranteed_rate": threshold.guaranteed_rate,
            "confident_rate": threshold.confident_rate,
            "set_by": threshold.pivot_part,
            "threshold_without": threshold.value_without_pivot,
            "by_tail": threshold.by_tail,
            "odd_parts": threshold.odd_parts,
            "oddest": dict(taught.taught_set.ranked),
            "unlike": taught.taught_set.unlike,
            "other_kind": taught.taught_set.other_kind,
            "held_out": len(threshold.scores),
            "geometry": taught.canvas.geometry.to_json(),
            "refused": taught.refused,
            "backend": scorer.extractor.backend.description,
            "backend_refused": scorer.refused,
            "backend_choice": asdict(scorer.choice) if scorer.choice else None,
        },
        as_json=as_json,
        text=f"version {taught.version.number}: {taught.version.bank_size} patches, threshold {threshold.value:.4f}; "
        f"{len(taught.refused)} of {len(paths)} images refused\n{geometry_text(taught.canvas, settings.source.bits)}\n"
        f"{threshold.promise}\n{taught.taught_set.words}\n{terminal.judged_by(scorer)}",
    )


@app.command(name="feedback")
def give_feedback(
    frame: Annotated[str, typer.Argument(metavar="FRAME|PART")],
    verdict: Annotated[str, typer.Argument(help="good or defect")],
    operator: Who = "cli",
    region: Annotated[str | None, typer.Option(help="left,top,right,bottom as shares of the image")] = None,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Say what a judged frame really showed; it goes the same way as every operator's answer."""
    settings = terminal.settings(config, overrides)
    answer = answers.answer(frame, verdict, operator, f"[{region}]" if region else None)
    answers.judged(open_state(settings.state_dir).ledger, frame)
    entry = build.redis_streams(settings).send(Stream.FEEDBACK, answer.fields())
    terminal.answer(
        {"sent": entry, "key": answer.key}, as_json=as_json, text=f"sent as {entry}; the service records it"
    )


@app.command()
def revoke(
    frames: Annotated[list[str] | None, typer.Argument(help="frame ids whose answers are taken back")] = None,
    taught_by: Annotated[
        str | None, typer.Option(help="only answers of this operator; without frames, all of them")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="only answers given from then on, UTC")] = None,
    until: Annotated[datetime | None, typer.Option(help="only answers given until then, UTC")] = None,
    reason: Annotated[str, typer.Option(help="why, for the audit log")] = "",
    operator: Who = "line engineer",
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Take answers back, one or a whole shift of them, and rebuild the version without them."""
    from daemon.learning import revocation

    settings = terminal.settings(config, overrides)
    opened = open_state(settings.state_dir)
    span = (terminal.utc_ms(since), terminal.utc_ms(until))
    ids = revocation.answers_of(opened.ledger, frames or (), taught_by, *span)
    engine = build.reference_engine(settings, opened, build.extractor(settings))
    engine.activate(opened.store.current())
    rebuilt = revocation.revoke(engine, opened.store, ids, operator, reason)
    summary = {
        "version": rebuilt.number,
        "rebuilt_from": rebuilt.restores,
        "answers": len(ids),
        "removed": rebuilt.removed,
        "missed": rebuilt.gate["missed"],
    }
    terminal.answer(
        summary,
        as_json=as_json,
        text=f"version {rebuilt.number}: {len(ids)} answers revoked, rebuilt from version {rebuilt.restores}; "
        f"{len(rebuilt.removed)} samples left the bank; {len(rebuilt.gate['missed'])} confirmed defects missed",
    )


@app.command()
def why(
    name: Annotated[str, typer.Argument(metavar="FRAME|PART")],
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Show why a frame, or each frame of a part, was judged so: bank, deciding good patch, and who taught it."""
    opened = open_state(terminal.settings(config, overrides).state_dir)
    frames = provenance.frames_of(opened.ledger, name)
    reasons = [provenance.why(opened.store, opened.ledger, frame) for frame in frames]
    rows = [row for reason in reasons for row in reason.items()]
    terminal.answer(reasons, as_json=as_json, text=terminal.table(f"Why {name}", ["what", "is"], rows))


@app.command()
def status(config: Config = None, overrides: Set = None, as_json: Json = False) -> None:
    """Show the service and whether it is ready, its version, drift and counts."""
    settings = terminal.settings(config, overrides)
    opened = open_state(settings.state_dir)
    reported = opened.ledger.service(settings.schedule.fresh_s)
    in_process = settings.redis.url == build.IN_PROCESS  # another process' broker cannot be asked
    redis_answers = in_process or build.redis_streams(settings).answers()
    now, head = service_status(reported, redis_answers=redis_answers), opened.store.head()
    holds = newest_events(opened.ledger, ("hold",), 1)
    summary = {
        "running": reported["running"],
        "ready": now.ready,
        "away": list(now.troubles),
        "head": head.number if head else None,
        "last_hold": holds[0].detail if holds else None,
        **reported,
        "counts": opened.ledger.counts(),
    }
    times = {k: f"{iso(summary[k])[:19]} UTC" for k in ("heartbeat_ms", "stopped_ms") if k in summary}
    rows = [
        (k.removesuffix("_ms") if k in times else k, v)
        for k, v in (summary | times).items()
        if k not in {"drift", "moment"}
    ]
    rows += terminal.scene(reported["drift"]) if "drift" in reported else []
    terminal.answer(summary, as_json=as_json, text=terminal.table(f"Line {settings.line}", ["what", "now"], rows))


@app.command(name="doctor")
def examine(config: Config = None, overrides: Set = None, as_json: Json = False) -> None:
    """Check Redis, weights, disk, clock, configuration and store, and say what to do."""
    findings = list(doctor.examine(terminal.settings(config, overrides)))
    rows = [(f.level, f.check, f.found, f.do) for f in findings]
    terminal.answer(
        [f.__dict__ for f in findings],
        as_json=as_json,
        text=terminal.table("Doctor", ["", "check", "found", "what to do"], rows),
    )
    raise typer.Exit(1 if any(f.level is doctor.Severity.FAIL for f in findings) else 0)


def main() -> None:
    """Run the command."""
    terminal.told(app)


if __name__ == "__main__":
    main()
