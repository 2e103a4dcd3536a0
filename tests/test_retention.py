"""Retention: what was answered stays, the rest leaves."""

from __future__ import annotations

import os
import time

import pytest
from conftest import NOW_MS, details, frame, rows
from lessons import answer, judge
from pictures import png

from daemon import retention as retention_of
from daemon.datasets.rendered import Flaw, Scene
from daemon.learning import answers
from daemon.retention import retain
from daemon.service import Service
from daemon.settings.load import Settings


def test_what_a_killed_teach_left_leaves_after_a_day(service: Service, settings: Settings) -> None:
    (settings.state_dir / "teach-notes.txt").write_text("somebody's")
    left = settings.state_dir / "teach-abc123"
    left.mkdir()
    (left / "image-000000.npy").write_bytes(b"")
    retain(service, time.time())
    assert left.exists(), "it may still run"
    os.utime(left, (0, 0))
    retain(service, time.time())
    assert left.exists(), "it adds to files of its first day"
    retain(service, time.time() + 1.1 * 86_400)
    assert not left.exists()


def test_an_answer_in_time_saves_a_frame_from_retention(service: Service) -> None:
    judged = service.engine.judge(frame("f", png(504)))
    answers.record(service.engine.ledger, answers.answer("f", "good", "anna"), NOW_MS)
    assert not service.engine.ledger.forget_file(judged.seq, lambda: service.engine.kept.drop(judged.kept or ""))
    assert service.engine.kept.image(judged.kept or "")
    assert service.engine.ledger.frame("f").kept  # type: ignore[union-attr]  # it was just judged


def test_retention_keeps_answers_and_drops_the_rest(
    service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    retention = settings.retention.model_copy(update={"ring_frames": 2, "flagged_days": 1.0, "ledger_days": 3.0})
    service.engine.settings = settings.model_copy(update={"retention": retention})
    for number, good in enumerate((501, 504, 507, 508, 510)):
        judge(service, f"ok{number}", good, Scene())
    judge(service, "flagged", 610, Scene(), Flaw.BURR)
    judge(service, "answered", 611, Scene(), Flaw.BURR)
    answer(service, "answered", "defect")
    service.turn(0)
    ledger, now_s = service.engine.ledger, time.time()

    def later(days: float) -> None:
        """Retention so many days later, when a last part has been judged."""
        at_s = now_s + days * 86_400
        service.engine.clock_ms = lambda: int(at_s * 1000)
        judge(service, f"last{days}", 501, Scene())
        retain(service, at_s)

    retain(service, now_s)
    kept = [r["frame_id"] for r in rows(ledger, "SELECT frame_id FROM frames WHERE kept IS NOT NULL ORDER BY seq")]
    assert kept == ["ok3", "ok4", "flagged", "answered"]
    monkeypatch.setattr(retention_of, "SETTLED_FRAMES", 0)
    later(2)
    assert ledger.frame("flagged").kept is None  # type: ignore[union-attr]  # its row stays
    later(4)
    left = [r["frame_id"] for r in rows(ledger, "SELECT frame_id FROM frames ORDER BY seq")]
    assert left == ["answered", "last2", "last4"]
    answered = ledger.frame("answered")
    assert answered is not None
    assert service.engine.view(answered) is not None


def test_a_clock_that_is_years_ahead_deletes_nothing(service: Service) -> None:
    judge(service, "old", 501, Scene())
    judge(service, "flagged", 610, Scene(), Flaw.BURR)
    ahead_s = time.time() + 6 * 365 * 86_400
    service.engine.clock_ms = lambda: int(ahead_s * 1000)
    judge(service, "ahead", 504, Scene())
    service.turn(0)
    retain(service, ahead_s)
    ledger = service.engine.ledger
    assert len(rows(ledger, "SELECT seq FROM frames")) == 3
    assert ledger.frame("flagged").kept  # type: ignore[union-attr]  # it was just judged


@pytest.mark.parametrize("years", [-6, 6])
def test_frames_of_a_wrong_clock_leave_neither_themselves_nor_others(
    service: Service, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    """A clock that is wrong for fewer than `SETTLED_FRAMES`, also once it is right again."""
    monkeypatch.setattr(retention_of, "SETTLED_FRAMES", 3)
    right_s = time.time()

    def judged(name: str, at_s: float) -> None:
        service.engine.clock_ms = lambda: int(at_s * 1000)
        judge(service, name, 610, Scene(), Flaw.BURR)

    for number in range(5):
        judged(f"before{number}", right_s + number)
    for number in range(2):
        judged(f"wrong{number}", right_s + years * 365 * 86_400 + number)
    retain(service, right_s + years * 365 * 86_400)
    judged("after", right_s + 10)
    retain(service, right_s + 11)
    kept = rows(service.engine.ledger, "SELECT frame_id FROM frames WHERE kept IS NOT NULL")
    assert len(kept) == 8


def test_a_clock_that_was_set_back_does_not_end_the_questions(service: Service) -> None:
    ledger, now_ms = service.engine.ledger, service.engine.clock_ms()
    judge(service, "flagged", 610, Scene(), Flaw.BURR)
    assert ledger.asked_between(now_ms - 3_600_000, now_ms + 60_000) == 1
    assert ledger.asked_between(now_ms - 3 * 3_600_000, now_ms - 2 * 3_600_000) == 0


def kept_ids(service: Service) -> list[str]:
    found = rows(service.engine.ledger, "SELECT frame_id FROM frames WHERE kept IS NOT NULL ORDER BY seq")
    return [row["frame_id"] for row in found]


def with_retention(service: Service, settings: Settings, **keep: float) -> None:
    retention = settings.retention.model_copy(update=keep)
    service.engine.settings = settings.model_copy(update={"retention": retention})


def test_beyond_their_room_passed_frames_leave_first_and_what_people_are_asked_about_stays(
    service: Service, settings: Settings
) -> None:
    judge(service, "flagged", 610, Scene(), Flaw.BURR)
    judge(service, "answered", 504, Scene())
    service.engine.judge(frame("unreadable", b"no image"))
    for number, good in enumerate((501, 504, 507)):
        judge(service, f"ok{number}", good, Scene())
    answer(service, "answered", "good")
    service.turn(0)
    kept = service.engine.kept
    room = kept.total_bytes() - kept.bytes_of(service.engine.ledger.frame("ok0").kept or "")  # type: ignore[union-attr]  # it was just judged
    with_retention(service, settings, frames_gb=room / 1e9)
    retain(service, time.time())
    assert kept_ids(service) == ["flagged", "answered", "unreadable", "ok1", "ok2"]
    assert kept.total_bytes() <= room
    with_retention(service, settings, frames_gb=1e-9)
    for _ in range(2):
        retain(service, time.time())
    assert kept_ids(service) == ["flagged", "answered"]
    (told,) = details(service.engine.ledger, "over_budget")
    assert told["over_bytes"] == kept.total_bytes() - 1, "once a day"


def test_beyond_its_room_the_ledger_s_oldest_rows_leave(
    service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        judge(service, f"ok{number}", 501 + number % 4, Scene())
    judge(service, "answered", 504, Scene())
    answer(service, "answered", "good")
    service.turn(0)
    ledger = service.engine.ledger
    used = ledger.used_bytes()
    with_retention(service, settings, ledger_gb=(used - 20_000) / 1e9, ring_frames=0)
    retain(service, time.time())
    assert len(rows(ledger, "SELECT seq FROM frames")) == 61, "the newest never leave"
    monkeypatch.setattr(retention_of, "SETTLED_FRAMES", 5)
    monkeypatch.setattr(retention_of, "BATCH_ROWS", 10)
    retain(service, time.time())
    assert ledger.used_bytes() <= used - 20_000
    left = [row["frame_id"] for row in rows(ledger, "SELECT frame_id FROM frames ORDER BY seq")]
    assert left == [*[f"ok{n}" for n in range(60 - (len(left) - 1), 60)], "answered"]
    with_retention(service, settings, ledger_gb=1e-9, ring_frames=0)
    retain(service, time.time())
    assert ledger.frame("answered")
    assert ledger.frame("ok59"), "the newest stay"


def test_an_image_whose_deletion_was_killed_half_way_is_deleted_again(service: Service, settings: Settings) -> None:
    judged = judge(service, "ok", 501, Scene())
    ledger, kept = service.engine.ledger, service.engine.kept

    def killed() -> None:
        kept.drop(judged.kept or "")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.forget_file(judged.seq, killed)
    assert ledger.frame("ok").kept, "nothing is recorded"  # type: ignore[union-attr]  # it was just judged
    with_retention(service, settings, ring_frames=0)
    retain(service, time.time())
    assert kept_ids(service) == []
