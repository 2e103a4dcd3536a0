"""`driftline versions …` and `driftline config …`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from daemon import build, clock
from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.clock import to_the_minute
from daemon.learning import compare
from daemon.learning.rollback import roll_back
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from memory.region import region_of
from memory.version import Version

versions_app = typer.Typer(help="The versions: the audit log of what was learned.", no_args_is_help=True)
config_app = typer.Typer(help="The settings.", no_args_is_help=True)


@versions_app.command(name="list")
def list_all(config: Config = None, overrides: Set = None, as_json: Json = False) -> None:
    """List all versions, oldest first."""
    opened = open_state(terminal.settings(config, overrides).state_dir)
    head = opened.store.head()
    rows = [_summary(v) | {"head": head is not None and v.number == head.number} for v in opened.store.history()]
    columns = ("no.", "why", "who", "made, UTC", "threshold", "samples")
    cells = [
        (
            f"{r['number']}{' judges' if r['head'] else ''}",
            *(r["cause"], r["who"], to_the_minute(r["created_at"]), f"{r['threshold']:.4f}"),
            f"+{r['added']} -{r['removed']}" + (f", {r['refused']} refused" if r["refused"] else ""),
        )
        for r in rows
    ]
    terminal.answer(rows, as_json=as_json, text=terminal.table("Versions", columns, cells))


@versions_app.command()
def show(number: int, config: Config = None, overrides: Set = None, as_json: Json = False) -> None:
    """Show one version's whole manifest, and the region in which it judges."""
    version = open_state(terminal.settings(config, overrides).state_dir).store.version(number)
    manifest, region = asdict(version), region_of(version).to_json()
    rows = manifest | {"region": json.dumps(region) if region else "the whole image"}
    terminal.answer(
        manifest | {"region": region},
        as_json=as_json,
        text=terminal.table(f"Version {number}", ["what", "is"], rows.items()),
    )


@versions_app.command()
def diff(
    before: int,
    after: int,
    frames: Annotated[int, typer.Option(min=0, help="judge so many of the newest kept frames again by both")] = 100,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Show what differs between two versions: samples, defects held, threshold, and verdicts of the newest frames."""
    settings = terminal.settings(config, overrides)
    opened = open_state(settings.state_dir)
    old, new = (opened.store.load(opened.store.version(number)) for number in (before, after))
    verdicts: dict[str, Any] = {}
    if frames:
        engine = build.reference_engine(settings, opened, build.extractor(settings))
        with terminal.progress() as bars:
            judged, differ = compare.changed(engine, old, new, frames, terminal.tracker(bars))
        verdicts = {"judged_again": judged, "verdicts_that_differ": differ}

    def changes(then: tuple[str, ...], now: tuple[str, ...]) -> dict[str, list[str]]:
        return {"added": sorted(set(now) - set(then)), "removed": sorted(set(then) - set(now))}

    changed = {
        "bank": changes(old.snapshot.detector.samples, new.snapshot.detector.samples),
        "held_out": changes(old.snapshot.calibration_set.samples, new.snapshot.calibration_set.samples),
        "defects": changes(old.snapshot.confirmed_defects.samples, new.snapshot.confirmed_defects.samples),
        "bank_size": [old.snapshot.detector.size, new.snapshot.detector.size],
        "threshold": [old.version.threshold["value"], new.version.threshold["value"]],
        "same_reference": old.version.blobs["reference"] == new.version.blobs["reference"],
        **verdicts,
    }
    terminal.answer(
        changed,
        as_json=as_json,
        text=terminal.table(f"Version {before} → {after}", ["what", "change"], changed.items()),
    )


@versions_app.command()
def rollback(
    number: int,
    operator: Annotated[str, typer.Option("--operator", help="who says so, for the audit log")] = "line engineer",
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Make a new version with an old version's contents and today's confirmed defects."""
    opened = open_state(terminal.settings(config, overrides).state_dir)
    restored = roll_back(opened.store, opened.ledger, number, operator, clock.unix_ms())
    missed = list(restored.gate["missed"])
    warning = f"; it misses {len(missed)} confirmed defects: {', '.join(missed)}" if missed else ""
    terminal.answer(
        _summary(restored) | {"missed": missed},
        as_json=as_json,
        text=f"version {restored.number} has the contents of version {number}{warning}",
    )


@config_app.command()
def check(config: Config = None, overrides: Set = None, as_json: Json = False) -> None:
    """Read the settings as the service would and show them."""
    values = terminal.settings(config, overrides).model_dump(mode="json")
    terminal.answer(
        values, as_json=as_json, text=terminal.table("Settings are valid", ["section", "values"], values.items())
    )


@config_app.command()
def schema(as_json: Json = False) -> None:
    """Print the settings' JSON schema (always JSON)."""
    del as_json  # a schema has no other form
    terminal.answer(Settings.model_json_schema(), as_json=True, text="")


def _summary(version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "cause": version.cause,
        "who": version.who,
        "created_at": version.created_at,
        "bank_size": version.bank_size,
        "threshold": version.threshold["value"],
        "added": len(version.added),
        "removed": len(version.removed),
        "refused": len(version.refused),
    }
