"""A watched folder: settled files, oldest first, each once."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import png
from structlog.testing import capture_logs

from daemon.intake.folder import FOLDER_BATCH, FileState, Sighting, WatchedFolder, sighted


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


def test_subfolders_are_read_but_not_hidden_ones_nor_what_was_judged(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    for folder in ("left", "left/upper", "right", ".hidden"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(png(1))
        os.utime(tmp_path / folder / "1.png", ns=(10**9, 10**9))
    frames = source.read(0)
    assert {f.frame_id for f in frames} == {f"{10**9}@{p}/1.png" for p in ("left", "left/upper", "right")}
    assert {f.part_id for f in frames} == {"1"}
    assert all(f.data == png(1) for f in frames)
    for frame in frames:
        source.acknowledge(frame)
    judged = {re.sub(r"\.[0-9a-f]{8}\.", ".", p.name) for p in (tmp_path / "judged").iterdir()}
    assert judged == {"1000.left-1.png", "1000.left-upper-1.png", "1000.right-1.png"}
    assert source.read(0) == []


def test_files_of_two_folders_with_one_name_are_both_kept(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / f"{'long' * 15}.png"
        path.write_bytes(png(1))
        os.utime(path, ns=(10**9, 10**9))
    for frame in source.read(0):
        source.acknowledge(frame)
    assert len(list((tmp_path / "judged").iterdir())) == 2


def test_a_folder_that_may_not_be_entered_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    for path in (tmp_path / "1.png", tmp_path / "closed" / "2.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(1))
    lstat = Path.lstat

    def refused(path: Path) -> os.stat_result:
        if path.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", refused)
    assert [frame.part_id for frame in source.read(0)] == ["1"]


def test_a_file_that_cannot_be_moved_is_judged_once_and_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    (tmp_path / "1.png").write_bytes(png(1))

    def refused(path: Path, _to: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("daemon.intake.folder.shutil.move", refused)
    (frame,) = source.read(0)
    source.acknowledge(frame)
    assert source.read(0) == []
    (tmp_path / "2.png").write_bytes(png(2))
    assert [frame.part_id for frame in source.read(0)] == ["2"]
    (tmp_path / "1.png").write_bytes(png(3))
    assert {frame.part_id for frame in source.read(0)} == {"1", "2"}, "it has changed"


def test_a_file_from_the_future_is_judged(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=0, max_bytes=10**6)
    (tmp_path / "a.png").write_bytes(png(1))
    ahead_ns = time.time_ns() + 10**18
    os.utime(tmp_path / "a.png", ns=(ahead_ns, ahead_ns))
    (frame,) = source.read(0)
    assert frame.frame_id == f"{ahead_ns}@a.png"


def test_a_file_settles_by_our_own_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    source = WatchedFolder(tmp_path, settle_ms=300, max_bytes=10**6)
    path = tmp_path / "a.png"
    path.write_bytes(b"half")
    assert source.read(0) == []
    now_s = 100.2
    path.write_bytes(b"whole")
    assert source.read(0) == []
    now_s = 100.4
    assert source.read(0) == [], "it has changed 200 ms ago"
    now_s = 100.6
    assert [f.data for f in source.read(0)] == [b"whole"]


STATES = st.builds(FileState, *[st.integers(0, 2)] * 4)
FILES = st.dictionaries(st.sampled_from([Path("a"), Path("b"), Path("c")]), STATES)


@given(first=FILES, second=FILES)
def test_a_file_is_sighted_since_it_last_changed(first: dict[Path, FileState], second: dict[Path, FileState]) -> None:
    then = sighted({}, first, 1.0)
    assert then == {path: Sighting(state, 1.0) for path, state in first.items()}
    now = sighted(then, second, 2.0)
    assert {path: s.state for path, s in now.items()} == second, "what is gone is forgotten"
    assert all(s.since_s == (1.0 if first.get(path) == s.state else 2.0) for path, s in now.items())


def test_what_is_left_alone_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    inbox, elsewhere = tmp_path / "inbox", tmp_path / "elsewhere"
    elsewhere.mkdir()
    source = WatchedFolder(inbox, settle_ms=0, max_bytes=10**6)
    (inbox / "notes.txt").write_text("no image")
    (inbox / "linked").symlink_to(elsewhere)
    with capture_logs() as logs:
        assert source.read(0) == []
        assert source.read(0) == []
    assert {log["file"] for log in logs} == {"notes.txt", "linked"}
    assert len(logs) == 2
    assert logs[-1]["files_left"] == 2
    assert source.trouble is None
    assert (inbox / "notes.txt").exists()


def test_a_file_that_is_still_written_is_not_told_of(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path, settle_ms=60_000, max_bytes=10**6)
    (tmp_path / "a.png.part").write_bytes(b"half")
    with capture_logs() as logs:
        assert source.read(0) == []
    assert logs == []


def test_a_folder_behind_a_link_is_watched_and_a_link_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "secret.png").write_bytes(png(2))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    source = WatchedFolder(tmp_path / "link", settle_ms=0, max_bytes=10**6)
    (tmp_path / "real" / "a.png").write_bytes(png(1))
    (tmp_path / "real" / "b.png").symlink_to(tmp_path / "secret.png")
    frames = {f.part_id: f for f in source.read(0)}
    assert frames["a"].data == png(1)
    assert frames["b"].data is None
    assert "copy or move the file itself there" in (frames["b"].problem or "")
    for frame in frames.values():
        source.acknowledge(frame)
    assert len(list((tmp_path / "real" / "judged").iterdir())) == 2
    assert (tmp_path / "secret.png").exists()


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    source = WatchedFolder(tmp_path / "inbox", settle_ms=0, max_bytes=10**6)
    (tmp_path / "inbox").rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        source.read(0)
