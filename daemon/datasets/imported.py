"""Import of defects that were labelled in another tool: judged, confirmed and learned without passing the line."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.inference.engine import Engine
from daemon.inference.shadow import Trial
from daemon.intake.decode import ImageRejected, path_text, read_allowed
from daemon.intake.sources import MAX_STEM_CHARS, Frame
from daemon.learning import answers, lesson
from daemon.learning.survey import Track
from daemon.ledger.records import Box, JudgedFrame
from drift.monitor import Monitor
from memory.store import Store
from memory.version import Version
from policies.admission import Hold
from policies.verdict import Verdict

SOURCE = "import"


@dataclass(frozen=True)
class Imported:
    """The outcome of an import: the newest version, and files by what became of them. `refused` tells why one cannot be
    used; `unlearned` are those that the newest version does not hold, and `why` says why not."""

    version: Version
    judged: tuple[str, ...]
    missed: tuple[str, ...]
    refused: dict[str, str]
    unlearned: tuple[str, ...]
    why: str | None


def learn(engine: Engine, store: Store, defects: Mapping[Path, Box | None], operator: str, track: Track) -> Imported:
    """Judge each defect by the active version, record the operator's answer in the ledger, and learn from all.

    They are scored in the light of the version's taught parts: the light of the running line, and its trust, do not
    apply to them. What was imported before and not learned, or taken back since, is learned now.
    """
    active = engine.active
    assert active is not None  # noqa: S101  # the caller has activated a version
    engine.active = replace(active, monitor=Monitor(active.monitor.reference))
    frames: dict[str, JudgedFrame] = {}
    refused: dict[str, str] = {}
    for path in track(list(defects), "defects"):
        file = path_text(path)
        try:
            frames[file] = _confirmed(engine, path, defects[path], operator)
        except ImageRejected as error:
            refused[file] = str(error)
            engine.ledger.event(engine.clock_ms(), "import_refused", file=file, reason=str(error))
    head, outcome = active.model.version, None
    if _lacking(store, head, frames) or lesson.due(engine, 1):
        outcome = lesson.learn(engine, store, SOURCE)
    head = outcome if isinstance(outcome, Version) else head
    missed = tuple(file for file, frame in frames.items() if frame.verdict is not Verdict.NG)
    unlearned = _lacking(store, head, frames)
    why = _why(outcome, engine.settings.policy.shadow_frames) if unlearned else None
    return Imported(head, tuple(frames), missed, refused, unlearned, why)


def _confirmed(engine: Engine, path: Path, region: Box | None, operator: str) -> JudgedFrame:
    """Judge a defect and record the operator's answer, unless the same answer is current already. Raises ImageRejected.

    Its frame id is made of the file's name and bytes: a path may be longer than an id, and may name another image
    later.
    """
    data = read_allowed(path, (path.parent,), engine.settings.source.max_bytes)
    stem = Path(path_text(path)).stem[-MAX_STEM_CHARS:]
    name = f"{SOURCE}:{stem}@{hashlib.sha256(data).hexdigest()[:12]}"
    judged = engine.judge(Frame(name, stem, SOURCE, engine.clock_ms(), data, imported=True))
    marked = json.dumps(region) if region else None
    answer = answers.answer(name, "defect", operator, marked, key=uuid.uuid4().hex)
    if not answers.is_current(engine.ledger, answer):
        answers.record(engine.ledger, answer, engine.clock_ms())
    return judged


def _lacking(store: Store, version: Version, frames: dict[str, JudgedFrame]) -> tuple[str, ...]:
    learned = store.defects(version) or ()
    return tuple(file for file, frame in frames.items() if frame.frame_id not in learned)


def _why(outcome: Version | Hold | Trial | None, frames: int) -> str:
    if isinstance(outcome, Hold):
        return outcome.reason
    if isinstance(outcome, Trial):
        return f"on trial: the next {frames} parts decide"
    return "people do not agree about them, or their images are gone"
