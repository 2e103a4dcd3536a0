"""`driftline advise`: which detector suits a part."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from daemon import build
from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.evaluation.installed import need_scikit_learn
from daemon.settings.load import ConfigError

COLUMNS = ["detector", "AUROC, drawn defects", "AUROC, real ones", "found", "false rejects", "teach, s", "a frame, ms"]


def advise(
    folder: Annotated[Path, typer.Argument(help="images of good parts")],
    defects: Annotated[Path | None, typer.Option(help="images of real defects, where you have some")] = None,
    sheet: Annotated[Path | None, typer.Option(help="write the contact sheet of the advised detector here")] = None,
    seed: Annotated[int, typer.Option(help="of the draw of parts and defects")] = 0,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Try each kind of detector on your parts, with defects drawn on some of them, and say which one to teach."""
    need_scikit_learn()
    if sheet and not sheet.parent.is_dir():
        raise ConfigError(expected="a folder for the sheet", came=f"no {sheet.parent}", do="make it, or name another")
    from daemon.evaluation import advice, contact_sheet
    from daemon.learning.teach import images_in

    settings = terminal.settings(config, overrides)
    goods, real = images_in(folder), images_in(defects) if defects else []
    backbone = build.extractor(settings)
    with TemporaryDirectory(prefix="driftline-advise-") as below, terminal.progress() as bars:
        track = terminal.tracker(bars)
        best, found = advice.advise(goods, real, settings, backbone, Path(below), track, seed)
        _, seen = found[best.detector]
        if sheet and seen:
            sheet.write_text(contact_sheet.render(f"{folder.name} by {best.detector}", seen, settings.source))
    rows = [
        [
            c.detector,
            *map(_cell, (c.drawn_auroc, c.real_auroc, c.found, c.false_rejects, c.teach_s, c.frame_ms)),
            c.refused,
        ]
        for c, _ in found.values()
    ]
    alone = "" if settings.source.depth_page is None else ", by colours alone"
    do = f"driftline teach {folder} --set memory.detector={best.detector}"
    terminal.answer(
        {"advised": best.detector, "do": do, "candidates": [advice.told(candidate) for candidate, _ in found.values()]},
        as_json=as_json,
        text=terminal.table(f"Advised: {best.detector}{alone}. To teach it: {do}", [*COLUMNS, "refused"], rows),
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
