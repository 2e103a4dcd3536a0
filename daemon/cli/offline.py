"""`driftline replay`, `score` and `demo`: commands that do not touch the live line."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon import build
from daemon.cli import terminal
from daemon.cli.terminal import Config, Json, Set
from daemon.ledger.state import open_state
from daemon.settings.logs import log_to

if TYPE_CHECKING:
    from daemon.intake.onto_canvas import Decoded  # OpenCV comes with it


def replay(
    source: Path,
    report: Annotated[Path | None, typer.Option(help="write the HTML report here")] = None,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Play a folder or a CSV protocol through the whole loop, in a state folder and streams of its own.

    A replay that was stopped goes on where it was.
    """
    from daemon.datasets import playback as replaying
    from daemon.reporting import report as reporting

    live = terminal.settings(config, overrides)
    data = replaying.dataset(source)
    settings = replaying.aside(live, {item.path.parent for item in data.stream})
    with build.only_one(settings.state_dir):
        opened = open_state(settings.state_dir)
        service = build.service(settings, opened, build.extractor(settings), build.redis_streams(settings))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with terminal.progress() as bars:
            replaying.prepare(service, data, open_state(live.state_dir).store, terminal.tracker(bars))
            service.start()
            task = bars.add_task("frames", total=len(data.stream))
            replaying.play(service, data.stream, lambda *_: bars.advance(task))
        if report:
            report.write_text(reporting.render(service.engine, opened.store, f"Replay of {source.name}"))
        head = opened.store.head()
        counts = opened.ledger.counts()
        opened.ledger.close()
    summary = {"state_dir": str(settings.state_dir), "version": head.number if head else None, "counts": counts}
    terminal.answer(
        summary,
        as_json=as_json,
        text=terminal.table(f"Replay in {settings.state_dir}", ["what", "count"], counts.items()),
    )


def score(
    images: list[Path],
    heatmap: Annotated[Path | None, typer.Option(help="folder for heatmap PNGs")] = None,
    config: Config = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Score image files with the head version and the light as it is on the line now; nothing is recorded.

    Where the line has judged nothing yet, eight images or more are judged in the light that they have in common, as a
    line that has seen them would judge them.
    """
    import cv2

    from daemon.inference.common_light import judge_in_common_light
    from daemon.intake.decode import ImageRejected, read_allowed
    from daemon.reporting.heatmap import overlay
    from policies.verdict import decide, unknown

    settings = terminal.settings(config, overrides)
    opened = open_state(settings.state_dir)
    engine = build.engine(settings, opened, build.extractor(settings))
    engine.activate(opened.store.current())
    active = engine.active
    assert active is not None  # noqa: S101  # activate just set it

    def decoded(path: Path) -> Decoded:
        return engine.decode(read_allowed(path, (path.resolve().parent,), settings.source.max_bytes))

    judge_in_common_light(engine, images, decoded)
    rows: list[dict[str, Any]] = []
    for path in images:
        try:
            scored = engine.score_image(decoded(path), active)
        except ImageRejected as error:
            decision, value = unknown(str(error)), None
        else:
            value = scored.score.value
            decision = decide(value, active.current_threshold, engine.drift())
            if heatmap:
                heatmap.mkdir(parents=True, exist_ok=True)
                inside = active.sight.canvas.inside
                picture = overlay(scored.image, scored.score.map, active.current_threshold, inside)
                cv2.imwrite(str(heatmap / f"{path.stem}.png"), picture[:, :, ::-1])
        rows.append(
            {
                "image": str(path),
                "verdict": decision.verdict,
                "score": value,
                "p_value": decision.p_value,
                "reason": decision.reason,
            }
        )
    terminal.answer(
        rows,
        as_json=as_json,
        text=terminal.table(f"Version {active.model.version.number}", list(rows[0]), [list(r.values()) for r in rows]),
    )


def demo(out: Annotated[Path, typer.Option(help="folder of the demo")] = Path("demo"), as_json: Json = False) -> None:
    """Watch a rendered line live through a lamp ramp, a new material and a careless operator; then a report."""
    from daemon.datasets import demo as show
    from daemon.reporting import report as reporting

    log_to("console", level=logging.WARNING)
    with terminal.progress() as bars:
        task = bars.add_task("frames", start=False, total=None)
        service = show.play(
            out,
            terminal.tracker(bars),
            lambda shots: bars.update(task, total=len(shots) + 1),
            lambda *_: bars.advance(task),
        )
    page = out / "report.html"
    page.write_text(reporting.render(service.engine, service.store, "Driftline demo"))
    story = show.story(service)
    terminal.answer(
        {"report": str(page), **story},
        as_json=as_json,
        text=terminal.table(f"Report: {page.resolve()}", ["what", "how it went"], story.items()),
    )
