"""A lesson from answers to a version: learned once, held with reasons, rolled back without forgetting."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import NOW_MS, frame, make_service, png, rows, untracked

from daemon.cli import doctor
from daemon.datasets.rendered import Flaw, Scene
from daemon.learning import answers, lesson, operating_point, publish
from daemon.learning.rollback import roll_back
from daemon.learning.teach import TeachError, images_in, teach
from daemon.ledger.history import newest_events, set_aside
from daemon.ledger.records import JudgedFrame, RecordedAnswer
from daemon.retention import retain
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.defects import WORST_PATCHES
from memory.errors import ExtractorMismatch, StoreError
from memory.extract import Extractor
from memory.version import Version
from policies.admission import Hold

WORN = Scene(wear=1.0, warmth=1.0)


def judge(service: Service, frame_id: str, number: int, scene: Scene = WORN, flaw: Flaw | None = None) -> JudgedFrame:
    return service.engine.judge(frame(frame_id, png(number, scene, flaw)))


def answer(service: Service, frame_id: str, verdict: str, operator: str = "anna") -> RecordedAnswer | None:
    return answers.record(service.engine.ledger, answers.answer(frame_id, verdict, operator), NOW_MS)


def learn(service: Service) -> Version | Hold:
    return lesson.learn(service.engine, service.store, "test")


def confirm(service: Service, count: int = 3, first: int = 600) -> None:
    for number in range(first, first + count):
        judge(service, f"g{number}", number)
        answer(service, f"g{number}", "good")


def test_confirmed_parts_become_the_next_version(service: Service) -> None:
    before = judge(service, "probe-before", 650).score
    confirm(service)
    service.lesson_if_due()
    head = service.store.head()
    assert head is not None
    assert (head.number, head.cause, head.who, head.feedback_through) == (2, "admission", "anna", 3)
    assert set(head.added) == {"g600", "g601", "g602"}
    assert judge(service, "probe-after", 650).score < before
    assert service.engine.ledger.frame("probe-after").version == 2  # type: ignore[union-attr]  # it was just judged


def test_lessons_calibrate_for_the_rate_in_force(service: Service) -> None:
    head, configured = publish.current(service.store), service.engine.settings.policy.false_reject_rate
    version = operating_point.change(head, service.store, service.engine.ledger, 0.25, configured, "eva", NOW_MS)
    assert {name for name in version.blobs if version.blobs[name] != head.version.blobs[name]} == set()
    service.notice_versions()
    confirm(service)
    service.lesson_if_due()
    learned = publish.current(service.store).version
    assert (learned.number, learned.cause, learned.threshold["rate"]) == (3, "admission", 0.25)
    (finding,) = (each for each in doctor.examine(service.engine.settings) if each.check == "rate")
    assert "25.0%" in finding.found


def test_replayed_feedback_commits_nothing_new(service: Service) -> None:
    confirm(service)
    assert isinstance(learn(service), Version)
    for number in (600, 601, 602):
        assert answer(service, f"g{number}", "good") is None
    service.lesson_if_due()
    assert isinstance(learn(service), Hold)
    assert service.store.newest_number() == 2


def test_too_few_confirmations_wait(service: Service) -> None:
    confirm(service, 2)
    service.lesson_if_due()
    assert service.store.newest_number() == 1
    service.recalibrate()
    assert service.store.newest_number() == 2
    service.recalibrate()
    assert service.store.newest_number() == 2


def test_a_defect_confirmed_as_good_is_refused_set_aside_and_never_proposed_again(service: Service) -> None:
    for number in (610, 611):
        judge(service, f"d{number}", number, Scene(), Flaw.BURR)
        answer(service, f"d{number}", "defect")
    assert isinstance(learn(service), Version)
    judge(service, "poison", 612, Scene(), Flaw.BURR)
    answer(service, "poison", "good", "bert")
    hold = learn(service)
    assert isinstance(hold, Hold)
    assert hold.blamed == ("poison",)
    assert [confirmation.frame_id for confirmation in set_aside(service.engine.ledger)] == ["poison"]
    confirm(service)
    version = learn(service)
    assert isinstance(version, Version)
    assert "poison" not in version.added
    judged = judge(service, "again", 613, Scene(), Flaw.BURR)
    assert judged.verdict == "NG"


def test_the_operator_s_region_is_the_defect_s_region(service: Service) -> None:
    judge(service, "d", 610, Scene(), Flaw.BURR)
    answers.record(service.engine.ledger, answers.answer("d", "defect", "anna", "[0.0, 0.0, 0.25, 0.5]"), NOW_MS)
    version = learn(service)
    assert isinstance(version, Version)
    (defect,) = service.store.load(version).snapshot.confirmed_defects.defects
    height, width = defect.mask.shape
    assert defect.mask.sum() == WORST_PATCHES, "the worst of the marked box, not its normal material"
    assert not defect.mask[height // 2 :].any()
    assert not defect.mask[:, width // 4 :].any()


def test_audited_goods_calibrate(
    settings: Settings, extractor: Extractor, wire: RedisStreams, service: Service
) -> None:
    del service  # it taught the store
    policy = settings.policy.model_copy(update={"audit_share": 1.0})
    auditing = make_service(settings.model_copy(update={"policy": policy}), extractor, wire)
    auditing.start()
    for number in range(620, 623):
        assert judge(auditing, f"a{number}", number, Scene()).asked == 1
        answer(auditing, f"a{number}", "good")
    version = learn(auditing)
    assert isinstance(version, Version)
    assert set(version.added) <= {"a620", "a621", "a622"}
    assert len(version.threshold["scores"]) == len(auditing.store.version(1).threshold["scores"]) + 3


def test_a_lesson_is_deterministic_whatever_the_crash(
    settings: Settings, extractor: Extractor, wire: RedisStreams, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between quarantine and commit, the lesson is made up for after the restart, with the same contents."""
    for number in (610, 611):
        judge(service, f"d{number}", number, Scene(), Flaw.BURR)
        answer(service, f"d{number}", "defect")
    learn(service)
    confirm(service)
    judge(service, "poison", 612, Scene(), Flaw.BURR)
    answer(service, "poison", "good", "bert")

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(service.store, "commit", killed)
        with pytest.raises(Killed):
            service.lesson_if_due()
    again = make_service(settings, extractor, wire)
    again.start()
    again.lesson_if_due()
    head = again.store.head()
    assert head is not None
    assert head.number == 3
    assert {"g600", "g601", "g602"} >= set(head.added) != set()
    assert head.feedback_through == 6


def test_a_rollback_brings_back_the_contents_and_keeps_every_defect(service: Service) -> None:
    old = judge(service, "before", 650).score
    confirm(service)
    learn(service)
    judge(service, "d", 610, Scene(), Flaw.BURR)
    answer(service, "d", "defect")
    learn(service)
    restored = roll_back(service.store, service.engine.ledger, 1, "engineer", NOW_MS)
    assert (restored.number, restored.restores, restored.who, restored.feedback_through) == (4, 1, "engineer", 4)
    assert restored.gate["found"] + len(restored.gate["missed"]) == 1
    contents, first = service.store.load(restored).snapshot, service.store.load(service.store.version(1)).snapshot
    assert contents.detector.samples == first.detector.samples
    assert contents.confirmed_defects.samples == ("d",)
    service.notice_versions()
    after = judge(service, "after", 650)
    assert (after.score, after.version) == (old, 4)
    service.recalibrate()
    assert service.store.newest_number() == 4, "what was rolled back is not learned again by itself"


def test_a_rollback_to_nowhere_is_told(service: Service, untaught: Service) -> None:
    del service
    with pytest.raises(StoreError, match="number 9"):
        roll_back(untaught.store, untaught.engine.ledger, 9, "x", NOW_MS)


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_or_one_image_folder_teaches_nothing(untaught: Service, tmp_path: Path, count: int) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.png").write_bytes(png(number))
    with pytest.raises(TeachError, match="image"):
        _teach(untaught, folder)
    assert untaught.store.newest_number() == 0


def test_bad_files_among_the_taught_are_told_and_skipped(untaught: Service, good_parts: Path) -> None:
    (good_parts / "a-text.png").write_text("text")
    (good_parts / "b-empty.jpg").write_bytes(b"")
    taught = _teach(untaught, good_parts)
    assert {Path(p).name for p in taught.refused} == {"a-text.png", "b-empty.jpg"}
    assert untaught.engine.ledger.counts()["events.teach_refused"] == 2
    assert len(taught.version.added) == 16


def test_teaching_anew_keeps_the_defects_and_may_not_forget_one(service: Service, good_parts: Path) -> None:
    judge(service, "d", 610, Scene(), Flaw.BURR)
    answer(service, "d", "defect")
    learn(service)
    taught = _teach(service, good_parts)
    assert service.store.load(taught.version).snapshot.confirmed_defects.samples == ("d",)
    for number in range(8):
        (good_parts / f"burr{number}.png").write_bytes(png(610, Scene(), Flaw.BURR))
    with pytest.raises(TeachError, match="would be missed: d"):
        _teach(service, good_parts)


def test_teaching_over_another_extractor_is_refused(
    service: Service, settings: Settings, wire: RedisStreams, good_parts: Path
) -> None:
    del service
    other = Extractor(model="resnet18", layers=(2,), weights="untrained", input_px=64, normalize=True, device="cpu")
    with pytest.raises(ExtractorMismatch):
        _teach(make_service(settings, other, wire), good_parts)


def test_retention_keeps_answers_and_drops_the_rest(service: Service, settings: Settings) -> None:
    retention = settings.retention.model_copy(update={"ring_frames": 2, "flagged_days": 1.0, "ledger_days": 3.0})
    service.engine.settings = settings.model_copy(update={"retention": retention})
    for number, good in enumerate((501, 504, 507, 508, 510)):
        judge(service, f"ok{number}", good, Scene())
    judge(service, "flagged", 610, Scene(), Flaw.BURR)
    judge(service, "answered", 611, Scene(), Flaw.BURR)
    answer(service, "answered", "defect")
    service.turn(0)
    ledger, now_s = service.engine.ledger, time.time()
    retain(service, now_s)
    kept = [r["frame_id"] for r in rows(ledger, "SELECT frame_id FROM frames WHERE kept IS NOT NULL ORDER BY seq")]
    assert kept == ["ok3", "ok4", "flagged", "answered"]
    retain(service, now_s + 2 * 86_400)
    assert ledger.frame("flagged").kept is None  # type: ignore[union-attr]  # its row stays
    retain(service, now_s + 4 * 86_400)
    left = [r["frame_id"] for r in rows(ledger, "SELECT frame_id FROM frames ORDER BY seq")]
    assert left == ["ok3", "ok4", "answered"]
    answered = ledger.frame("answered")
    assert answered is not None
    assert service.engine.view(answered) is not None


def test_a_missed_defect_reported_by_an_operator_is_found_from_then_on(service: Service) -> None:
    """A burr was confirmed as good and passes; its report takes the patches that hide it out, and says whose."""
    for name in ("sly", "sly-2"):
        judge(service, name, 690, Scene(), Flaw.BURR)
        answer(service, name, "good", "bert")
    learn(service)
    assert judge(service, "missed", 690, Scene(), Flaw.BURR).verdict == "OK"
    answer(service, "missed", "defect")
    version = learn(service)
    assert isinstance(version, Version)
    assert {"sly", "sly-2"} & {sample for sample, _ in version.gate["remedied"]["missed"]}
    assert version.gate["missed"] == []
    assert judge(service, "again", 690, Scene(), Flaw.BURR).verdict == "NG"
    (event,) = newest_events(service.engine.ledger, ("remedied",), 10)
    assert event.detail["frame_id"] == "missed"


def test_a_hold_is_told_as_an_event(service: Service) -> None:
    hold = learn(service)
    assert isinstance(hold, Hold)
    (event,) = newest_events(service.engine.ledger, ("hold",), 10)
    assert event.detail["reason"] == hold.reason
    service.turn(0)
    assert any(f["kind"] == b"hold" for _, f in service.wire.entries("events"))


def _teach(service: Service, folder: Path):  # type: ignore[no-untyped-def]  # the return type is teach's own
    return teach(images_in(folder), service.engine, service.store, "x", untracked)
