"""A defect that another tool's people have marked: judged and confirmed, though it never passed the line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from daemon import feedback
from daemon.engine import Engine
from daemon.frames import ImageRejected, read_allowed
from daemon.labelled import Region
from daemon.ledger import Row
from daemon.sources import MAX_STEM_CHARS, Frame

SOURCE = "import"


def confirm(engine: Engine, path: Path, region: Region | None, operator: str) -> Row:
    """The verdict of a defect by the active version; then what the operator says of it is in the ledger, once however
    often it is imported. Raises ImageRejected for an image that cannot be used.

    Its id is made of the file's name and its bytes: a path may be longer than an id, and another image come under it.
    """
    data = read_allowed(path, (path.parent,), engine.settings.source.max_bytes)
    name = f"{SOURCE}:{path.stem[-MAX_STEM_CHARS:]}@{hashlib.sha256(data).hexdigest()[:12]}"
    row = engine.judge(Frame(name, path.stem, SOURCE, engine.clock_ms(), data, imported=True))
    if row["score"] is None:
        raise ImageRejected(expected="an image that can be scored", came=row["reason"], do="leave it out")
    said = feedback.answer(name, "defect", operator, json.dumps(region) if region else None)
    feedback.record(engine.ledger, said, engine.clock_ms())
    return row
