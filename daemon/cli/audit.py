"""`driftline report` and `audit …`: what came of a shift, who changed what the line knows, and that nobody has changed
that record."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from tzlocal import get_localzone

from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.clock import minute
from daemon.ledger import proof
from daemon.ledger.audit_log import AuditFilter, entries
from daemon.ledger.shift import Shift
from daemon.ledger.state import open_state
from daemon.reporting.audit import told
from daemon.reporting.shift import report as reported
from daemon.reporting.shift_files import shift_before, write

audit_app = typer.Typer(help="Who changed what the line knows.", no_args_is_help=True)
Moment = datetime | None


@audit_app.command()
def show(
    since: Annotated[Moment, typer.Option(help="from then on, UTC")] = None,
    until: Annotated[Moment, typer.Option(help="until then, UTC")] = None,
    who: Annotated[str | None, typer.Option(help="by this person")] = None,
    kind: Annotated[str | None, typer.Option(help="version, answer, revocation, set aside, settings")] = None,
    what: Annotated[str | None, typer.Option(help="about this frame, part or version")] = None,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """List the entries of the audit log, oldest first."""
    wanted = AuditFilter(terminal.utc_ms(since), terminal.utc_ms(until), who, kind, what)
    found = list(entries(open_state(terminal.settings(config, overrides).state_dir).ledger, wanted))
    rows = [(one.id, minute(one.at_ms), one.kind, one.who, one.what, one.detail) for one in found]
    columns = ("no.", "at, UTC", "kind", "who", "what", "detail")
    terminal.answer([told(one) for one in found], as_json=as_json, text=terminal.table("Audit log", columns, rows))


@audit_app.command()
def verify(
    digest: Annotated[str | None, typer.Option(help="a digest that was noted elsewhere: it must be in the log")] = None,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Prove that no entry was changed, left out or put in later, and that all answers and versions are in the log; exit
    code 1 where something is wrong."""
    found = proof.verify(open_state(terminal.settings(config, overrides).state_dir), digest)
    text = "\n".join(found.faults) or (
        f"{found.entries} entries are as they were written. Note the newest digest elsewhere, and give it to --digest"
        f" next time: {found.digest}"
    )
    terminal.answer(asdict(found), as_json=as_json, text=text)
    raise typer.Exit(1 if found.faults else 0)


def report(
    out: Annotated[Path, typer.Argument(help="folder to write it into")],
    since: Annotated[
        Moment, typer.Option(help="from then on, by this PC's clock; default: the shift before this one")
    ] = None,
    until: Annotated[Moment, typer.Option(help="until then; default: now, or the end of that shift")] = None,
    lot: Annotated[str | None, typer.Option(help="only parts whose id begins so")] = None,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Write the report of a shift, a day, a week or a lot: HTML, CSV, and PDF with `driftline[pdf]`."""
    settings = terminal.settings(config, overrides)
    now = datetime.now(get_localzone())
    shift = shift_before(now, settings.reports.hours)
    if since or until or lot:
        begin = 0 if since is None else int(since.astimezone().timestamp() * 1000)
        shift = Shift(begin, int((until.astimezone() if until else now).timestamp() * 1000), lot)
    state = open_state(settings.state_dir)
    files = write(reported(state, settings, shift), state, settings, now.tzinfo or UTC, out)
    terminal.answer({"files": [str(file) for file in files]}, as_json=as_json, text="\n".join(map(str, files)))
