"""A lesson from answers to a version: learned once, or held with reasons."""

from __future__ import annotations

import pytest
from conftest import NOW_MS, make_service
from lessons import answer, confirm, judge, learn, pass_the_start

from daemon.cli import doctor
from daemon.datasets.rendered import Flaw, Scene
from daemon.learning import answers, operating_point
from daemon.ledger.history import newest_events, set_aside
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory.defects import WORST_PATCHES
from memory.extract import Extractor
from memory.version import Version
from policies.admission import Hold


def test_confirmed_parts_become_the_next_version(service: Service) -> None:
    pass_the_start(service)
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
    head, configured = service.store.current(), service.engine.settings.policy.false_reject_rate
    version = operating_point.change(head, service.store, service.engine.ledger, 0.25, configured, "eva", NOW_MS)
    assert {name for name in version.blobs if version.blobs[name] != head.version.blobs[name]} == set()
    service.notice_versions()
    confirm(service)
    service.lesson_if_due()
    learned = service.store.current().version
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


def test_a_missed_defect_reported_by_an_operator_is_found_from_then_on(service: Service) -> None:
    """A burr was confirmed as good and passes; its report takes the patches that hide it out, and says whose."""
    for name in ("sly", "sly-2"):
        judge(service, name, 690, Scene(), Flaw.BURR)
        answer(service, name, "good", "bert")
    learn(service)
    judge(service, "between", 691)  # a camera that gives one image thrice would hang
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
    assert any(f["kind"] == b"hold" for _, f in service.streams.entries("events"))
