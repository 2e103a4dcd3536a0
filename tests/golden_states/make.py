"""Make the golden state folder of today's ledger format: `python tests/golden_states/make.py`. Old ones stay as they
are.

A line with driftline-tiny at 64 px that was taught, has judged parts, was answered, has learned a defect, and was
rolled back. `line.json` beside it says what must come out of it for ever.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import fakeredis
from pictures import png

from daemon import build
from daemon.datasets.rendered import STEADY, Flaw
from daemon.intake.sources import Frame
from daemon.learning import answers
from daemon.learning.rollback import roll_back
from daemon.learning.teach import images_in, teach
from daemon.ledger.schema import STEPS
from daemon.ledger.state import open_state
from daemon.settings.load import Settings
from daemon.streams import RedisStreams

HERE = Path(__file__).parent


def settings_of(state: Path) -> Settings:
    """The settings of the golden line."""
    return Settings.model_validate(
        {
            "line": "golden",
            "state_dir": state,
            "extractor": {"input_px": 64, "threads": 1, "device": "cpu", "backend": "torch"},
            "memory": {"bank_patches": 200, "lesson_patches": 40},
            "policy": {"false_reject_rate": 0.1, "audit_share": 0.0, "lesson_after": 1},
            "redis": {"url": "memory://"},
        }
    )


def main() -> None:
    """Make it."""
    with tempfile.TemporaryDirectory() as name:
        parts, state = Path(name) / "parts", Path(name) / "state"
        parts.mkdir()
        for number in range(8):
            (parts / f"{number}.png").write_bytes(png(number))
        settings = settings_of(state)
        opened = open_state(state)
        streams = RedisStreams(fakeredis.FakeRedis(protocol=2), "memory://", "driftline", "golden")
        service = build.service(settings, opened, build.extractor(settings), streams)
        teach(images_in(parts), service.engine, opened.store, "engineer", lambda items, _: items)
        service.start()
        for frame_id, number, flaw in (("good", 504, None), ("burr", 610, Flaw.BURR), ("chip", 611, Flaw.CHIP)):
            now_ms = time.time_ns() // 1_000_000
            service.engine.judge(Frame(frame_id, f"part {frame_id}", "golden", now_ms, png(number, STEADY, flaw)))
        given = answers.answer("burr", "defect", "anna", "[0.25, 0.25, 0.75, 0.75]")
        answers.record(opened.ledger, given, time.time_ns() // 1_000_000)
        service.learn("admission")
        roll_back(opened.store, opened.ledger, 1, "engineer", time.time_ns() // 1_000_000)
        outcome = {
            "versions": [version.cause for version in opened.store.history()],
            "frames": {
                row["frame_id"]: [row["verdict"], row["score"], row["threshold"]]
                for row in opened.ledger.database.rows("SELECT * FROM frames")
            },
            "answers": [row["frame_id"] for row in opened.ledger.database.rows("SELECT * FROM answers")],
        }
        opened.ledger.close()
        out = HERE / f"ledger-{len(STEPS)}"
        shutil.copytree(state, out / "state")
        (out / "line.json").write_text(json.dumps(outcome, indent=1) + "\n")


if __name__ == "__main__":
    main()
