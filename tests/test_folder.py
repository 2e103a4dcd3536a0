"""A watched folder: settled files, oldest first, each once."""

from __future__ import annotations

import os
from pathlib import Path

from pictures import png

from daemon.intake.folder import FOLDER_BATCH, WatchedFolder


def test_a_folder_gives_settled_files_oldest_first_in_batches(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    for i in range(FOLDER_BATCH + 2):
        path = tmp_path / f"{9 - i % 10}-{i}.png"
        path.write_bytes(png(1))
        os.utime(path, ns=(i * 10**9, i * 10**9))
    (tmp_path / "notes.txt").write_text("no image")
    first = source.read(0)
    assert [f.sent_ms for f in first] == [i * 1000 for i in range(FOLDER_BATCH)]
    for judged in first:
        source.acknowledge(judged)
    second = source.read(0)
    assert len(second) == 2
    second[0].receipt.unlink()  # type: ignore[attr-defined]  # a path, for this source
    source.acknowledge(second[0])
    assert len(list((tmp_path / "judged").iterdir())) == FOLDER_BATCH
    assert len({f.frame_id for f in first + second}) == FOLDER_BATCH + 2


def test_a_file_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=60_000, max_bytes=10**6)
    path = tmp_path / "a.png"
    path.write_bytes(b"half")
    os.utime(path, (1, 1))
    assert source.read(0) == [], "an old modification time does not hide a fresh write"


def test_judged_files_are_tidied_away(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    for i in (5, 20, 100):
        (tmp_path / "judged" / f"{i}.x.png").write_bytes(b"x")
    source.tidy(2)
    assert sorted(p.name for p in (tmp_path / "judged").iterdir()) == ["100.x.png", "20.x.png"]
