"""Comparison of two versions on the newest kept frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from daemon.inference.engine import Engine
from daemon.ledger.answers import standing_on
from daemon.ledger.frames import newest_scored
from daemon.ledger.records import JudgedFrame
from memory.version import Model
from policies.threshold import Threshold
from policies.verdict import Label, Verdict

Track = Callable[[Sequence[JudgedFrame], str], Iterable[JudgedFrame]]


def changed(engine: Engine, before: Model, after: Model, frames: int, track: Track) -> tuple[int, list[dict[str, Any]]]:
    """Judge the newest `frames` scored and kept frames again by both versions. Returns how many were judged, and those
    whose verdict differs, newest first, each with both scores as shares of their version's threshold, and the `label`
    on which all answers about it agree, or None.

    Light is divided out as it was when the frame was seen, and the threshold is that of the regime it was seen in.
    Otherwise drift is left out: both get the verdict that their threshold gives. The engine has `after` active when
    this returns.
    """
    newest = newest_scored(engine.ledger, frames)
    shares = [_shares(engine, model, newest, track) for model in (before, after)]
    differ, judged = [], 0
    for frame, then, now in zip(newest, *shares, strict=True):
        if then is None or now is None:
            continue
        judged += 1
        if (then > 1) != (now > 1):
            verdicts = [Verdict.NG if share > 1 else Verdict.OK for share in (then, now)]
            scores = [round(then, 3), round(now, 3)]
            told = {name: getattr(frame, name) for name in ("frame_id", "part_id", "seq", "judged_ms")}
            label = _label(engine, frame.frame_id)
            differ.append({**told, "verdicts": verdicts, "scores": scores, "label": label})
    return judged, differ


def _label(engine: Engine, frame_id: str) -> Label | None:
    labels = {answer.label for answer in standing_on(engine.ledger, frame_id)}
    return labels.pop() if len(labels) == 1 else None


def _shares(engine: Engine, model: Model, frames: list[JudgedFrame], track: Track) -> list[float | None]:
    """Each frame's score over the threshold; None where its image is gone or was altered."""
    engine.activate(model)
    detector, threshold = model.snapshot.detector, Threshold.of(model.version.threshold)
    seen = ((frame, engine.view(frame)) for frame in track(frames, f"version {model.version.number}"))
    return [
        detector.score(view).value / threshold.for_regime(frame.regime).value if view else None for frame, view in seen
    ]
