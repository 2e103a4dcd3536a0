"""A backup is one moment of a line, whole or not there, and what is restored from it is that line."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from commands import call
from conftest import frame, rows
from lessons import answer, confirm, judge, learn
from pictures import png

from daemon.datasets.rendered import STEADY, Flaw
from daemon.ledger import backup
from daemon.ledger.backup import BackupRefused, back_up, restore
from daemon.ledger.state import open_state
from daemon.service import Service
from daemon.settings.load import Settings
from memory.version import Version


@pytest.fixture
def lived(service: Service) -> Service:
    """A line that has judged, was answered and has learned."""
    judge(service, "burr", 610, STEADY, Flaw.BURR)
    answer(service, "burr", "defect")
    confirm(service)
    assert isinstance(learn(service), Version)
    return service


def blobs(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_what_is_restored_is_the_line_bit_for_bit(lived: Service, settings: Settings, tmp_path: Path) -> None:
    head = back_up(settings.state_dir, tmp_path / "copy")
    assert head == lived.store.head()
    restore(tmp_path / "copy", tmp_path / "again")
    again = open_state(tmp_path / "again")
    assert blobs(tmp_path / "again" / "store") == blobs(settings.state_dir / "store")
    assert blobs(tmp_path / "again" / "frames") == blobs(settings.state_dir / "frames")
    for table in ("frames", "feedback", "lessons", "events", "versions"):
        query = f"SELECT * FROM {table}"  # noqa: S608  # names of ours
        assert rows(again.ledger, query) == rows(lived.engine.ledger, query)


def test_a_version_that_came_after_the_ledger_was_copied_is_left_out(
    lived: Service, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its answers would be missing in the ledger, and nobody could say who taught it."""
    confirm(lived, 3, first=640)
    copy = backup.copy_database

    def learns_meanwhile(source: Path, target: Path) -> int:
        through = copy(source, target)
        assert isinstance(learn(lived), Version)
        return through

    monkeypatch.setattr(backup, "copy_database", learns_meanwhile)
    head = back_up(settings.state_dir, tmp_path / "copy")
    assert head is not None
    assert (head.number, lived.store.newest_number()) == (2, 3)


def test_what_a_killed_attempt_left_is_no_hindrance(lived: Service, settings: Settings, tmp_path: Path) -> None:
    left = tmp_path / ".copy-killed"
    (left / "store").mkdir(parents=True)
    (left / "ledger.sqlite").write_bytes(b"half")
    assert back_up(settings.state_dir, tmp_path / "copy") == lived.store.head()


def test_a_backup_while_frames_are_judged_holds_whole_verdicts(
    lived: Service, settings: Settings, tmp_path: Path
) -> None:
    ended = threading.Event()

    def judging() -> None:
        number = 0
        while not ended.is_set():
            lived.engine.judge(frame(f"live{number}", png(504)))
            number += 1

    thread = threading.Thread(target=judging)
    thread.start()
    try:
        for attempt in range(3):
            back_up(settings.state_dir, tmp_path / f"copy{attempt}")
    finally:
        ended.set()
        thread.join()
    for attempt in range(3):
        copy = open_state(tmp_path / f"copy{attempt}")
        kept = rows(copy.ledger, "SELECT kept FROM frames WHERE kept IS NOT NULL")
        assert kept
        assert all(copy.kept.image(row["kept"]) for row in kept)


def test_a_backup_that_fails_leaves_nothing_behind(
    lived: Service, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(Exception, match="No space"):
        back_up(settings.state_dir, tmp_path / "copy")
    assert list(tmp_path.glob("*copy*")) == []
    assert lived.store.head() is not None


def test_nothing_is_written_over(lived: Service, settings: Settings, tmp_path: Path) -> None:
    back_up(settings.state_dir, tmp_path / "copy")
    for refused in (
        lambda: back_up(settings.state_dir, tmp_path / "copy"),
        lambda: restore(tmp_path / "copy", settings.state_dir),
        lambda: restore(tmp_path, tmp_path / "new"),
        lambda: back_up(tmp_path / "nowhere", tmp_path / "new"),
    ):
        with pytest.raises(BackupRefused):
            refused()
    assert not (tmp_path / "new").exists()
    assert lived.store.head() is not None


def test_a_damaged_backup_is_not_restored(lived: Service, settings: Settings, tmp_path: Path) -> None:
    head = back_up(settings.state_dir, tmp_path / "copy")
    assert head == lived.store.head()
    assert head is not None
    blob = tmp_path / "copy" / "store" / "blobs" / next(iter(head.blobs.values()))
    blob.write_bytes(b"torn")
    with pytest.raises(BackupRefused, match="altered"):
        restore(tmp_path / "copy", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_the_commands_copy_and_bring_back(
    lived: Service,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del lived
    config = tmp_path / "line.yaml"
    config.write_text(settings.model_dump_json())
    copy, again = tmp_path / "copy", tmp_path / "again"
    assert call(capsys, monkeypatch, "backup", copy, "--config", config) == (0, {"backup": str(copy), "version": 2})
    to = ("--set", f"state_dir={again}")
    code, told = call(capsys, monkeypatch, "restore", copy, "--config", config, *to)
    assert (code, told["version"]) == (0, 2)
    code, told = call(capsys, monkeypatch, "restore", copy, "--config", config, *to)
    assert (code, told["error"]) == (2, "BackupRefused")
