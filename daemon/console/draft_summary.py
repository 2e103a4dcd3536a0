"""A draft as pages show it, and what it says of the parts that the line has passed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.console.line import LineView
from daemon.inference.sight import AS_IT_IS
from daemon.intake.decode import ImageRejected
from daemon.intake.onto_canvas import decode_onto
from daemon.languages.speaking import said
from daemon.learning.compare import Track
from daemon.learning.teach import Draft
from daemon.ledger.frames import newest_scored
from memory.geometry import GeometryError
from policies.taught_set import TaughtSet
from policies.threshold import Threshold
from policies.verdict import Verdict

ODDEST = 12  # parts to look at, or as many as look unlike the others
NEWEST = 30


def shares_of_passed(line: LineView, draft: Draft, track: Track) -> list[float]:
    """The draft's scores of the newest kept frames that the line has passed, in multiples of its threshold. A frame
    that it cannot take, as one of another size, counts as far beyond it."""
    state, shares = line.state, []
    passed = [one for one in newest_scored(state.ledger, NEWEST) if one.verdict is Verdict.OK]
    for frame in track(passed, "parts of the line"):
        data = state.kept.image(frame.kept) if frame.kept else None
        if data is None:
            continue
        share = share_of(line, draft, data)
        shares.append(math.inf if share is None else share)
    return shares


def share_of(line: LineView, draft: Draft, data: bytes) -> float | None:
    """The draft's score of an image file, in multiples of its threshold; None for one that it cannot take."""
    source = line.settings.source
    try:
        seen = decode_onto(data, draft.sight.canvas.geometry, source)
        image = draft.sight.lit(draft.sight.place(seen, source), AS_IT_IS)
    except (ImageRejected, GeometryError):
        return None
    score = draft.snapshot.detector.score(draft.sight.view(image, line.engines.backbone()))
    return score.value / draft.threshold.value


def summary(draft: Draft) -> dict[str, Any]:
    """The draft as JSON: its parts, threshold, and what is odd about them, in words for the reader."""
    threshold, odd = draft.threshold, _named_set(draft.taught_set)
    return {
        "id": draft.id,
        "parts": len(draft.names),
        "refused": {name: said(why) for name, why in draft.refused.items()},
        "detector": draft.snapshot.detector.kind,
        "patches": draft.snapshot.detector.size,
        "threshold": threshold.value,
        "promise": said(_named(threshold).promise),
        "odd": said(odd.words),
        "oddest": [{"name": name, "times": times} for name, times in odd.ranked[: max(ODDEST, len(odd.unlike))]],
        "geometry": draft.sight.canvas.geometry.to_json(),
        "region": draft.region.to_json(),
        "follows": draft.base.version.number if draft.base else None,
    }


def _named(threshold: Threshold) -> Threshold:
    """The threshold with the names of files, as they were sent, for their paths."""
    odd = tuple(Path(part).name for part in threshold.odd_parts)
    return replace(threshold, pivot_part=Path(threshold.pivot_part).name, odd_parts=odd)


def _named_set(taught_set: TaughtSet) -> TaughtSet:
    ranked = tuple((Path(part).name, times) for part, times in taught_set.ranked)
    return TaughtSet(ranked, tuple(Path(part).name for part in taught_set.other_kind))
