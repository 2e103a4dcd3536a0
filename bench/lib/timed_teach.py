"""A teach and two lessons after it in one process, timed.

usage: python timed_teach.py FOLDER LESSON SETTINGS.json RESULT.json    (the measured checkout on PYTHONPATH)

A line is taught from FOLDER; half of the files of LESSON are judged and confirmed as good, and a lesson learns from
them; then the other half. RESULT.json holds how long each took, and the most memory that the process has held by then.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from memory.runtime import configure_libraries

configure_libraries(os.environ)

from daemon import build, clock  # noqa: E402  # after the libraries are configured, as `driftline` does
from daemon.intake.sources import Frame  # noqa: E402  # as above
from daemon.learning import answers  # noqa: E402  # as above
from daemon.learning.teach import images_in, teach  # noqa: E402  # as above
from daemon.ledger.state import open_state  # noqa: E402  # as above
from daemon.settings.load import Settings  # noqa: E402  # as above


def main() -> None:
    """Teach, then learn twice."""
    folder, lesson, settings_file, result = map(Path, sys.argv[1:])
    settings = Settings.model_validate_json(settings_file.read_text())
    settings.state_dir.mkdir()
    backbone, opened = build.extractor(settings), open_state(settings.state_dir)
    engine = build.engine(settings, opened, backbone)
    began_s = time.perf_counter()
    taught = teach(images_in(folder), engine, opened.store, "bench", lambda paths, _: paths)
    told = {"teach, s": time.perf_counter() - began_s, "memory after the teach, MB": most_mb()}
    service = build.service(settings, opened, backbone, build.redis_streams(settings))
    service.start()
    files = sorted(lesson.iterdir())
    for what, confirmed in (("first", files[: len(files) // 2]), ("next", files[len(files) // 2 :])):
        for file in confirmed:
            service.engine.judge(Frame(file.stem, file.stem, "bench", clock.unix_ms(), file.read_bytes()))
            answers.record(opened.ledger, answers.answer(file.stem, "good", "bench"), clock.unix_ms())
        before, began_s = opened.store.head(), time.perf_counter()
        service.recalibrate()
        told[f"{what} lesson, s"] = time.perf_counter() - began_s
        if opened.store.head() == before:
            raise SystemExit("the lesson made no version")
    told["memory after the lessons, MB"] = most_mb()
    result.write_text(json.dumps({**told, "threshold": taught.threshold.value}))


def most_mb() -> float:
    """The most memory that this process has held (MB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
