"""A proposal on trial: the head judges, both score, people settle where they differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import NOW_MS, frame, make_service, png

from daemon import feedback, lesson
from daemon.config import Settings
from daemon.ledger import Row
from daemon.rendered import Flaw, Scene
from daemon.service import Service
from daemon.shadow import Trial
from daemon.wire import Wire
from memory.extract import Extractor
from memory.version import Version
from policies.admission import Hold
from policies.shadow import Disagreement, Trusted, settle_trial
from policies.verdict import Verdict

WORN = Scene(wear=1.0)
PASSES = Disagreement("a", Verdict.NG, Verdict.OK)
FLAGS = Disagreement("b", Verdict.OK, Verdict.NG)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    policy = settings.policy.model_copy(update={"shadow_frames": 4})
    return settings.model_copy(update={"policy": policy})


def judge(service: Service, frame_id: str, number: int, scene: Scene = WORN, flaw: Flaw | None = None) -> Row:
    return service.engine.judge(frame(frame_id, png(number, scene, flaw)))


def answer(service: Service, frame_id: str, verdict: str) -> None:
    feedback.record(service.engine.ledger, feedback.answer(frame_id, verdict, "anna"), NOW_MS)


def learn(service: Service) -> Version | Hold | Trial:
    return lesson.learn(service.engine, service.store, "test")


def on_trial(service: Service) -> Trial:
    """Worn parts are confirmed as good; what they teach stands trial."""
    for number in (600, 601, 602):
        judge(service, f"g{number}", number)
        answer(service, f"g{number}", "good")
    trial = learn(service)
    assert isinstance(trial, Trial)
    return trial


def test_the_head_judges_until_the_trial_is_over(service: Service) -> None:
    trial = on_trial(service)
    rows = [judge(service, f"worn{i}", 620 + i) for i in range(3)]
    assert {row["version"] for row in rows} == {1}
    assert learn(service) is trial, "it has not seen enough"
    assert service.status()["trial"] == {"frames": 3, "of": 4, "disagreed": len(trial.disagreed)}
    judge(service, "worn3", 623)
    made = learn(service)
    assert isinstance(made, Version)
    assert made.gate["trial"]["frames"] == 4
    assert (made.feedback_through, made.number, service.status()["trial"]) == (3, 2, None)
    assert judge(service, "after", 624)["version"] == 2


def disagreeing(service: Service) -> list[str]:
    """Frames that the head flags and the proposal passes."""
    on_trial(service)
    assert service.engine.active is not None
    strict = replace(service.engine.active.threshold, value=0.0)
    service.engine.active = replace(service.engine.active, threshold=strict)
    names = [f"worn{i}" for i in range(4)]
    assert [judge(service, name, 600 + i)["verdict"] for i, name in enumerate(names)] == ["NG"] * 4
    return names


def test_frames_that_are_judged_differently_are_asked_about_and_told(service: Service) -> None:
    names = disagreeing(service)
    told = service.engine.ledger.all(
        "SELECT json_extract(detail, '$.frame_id') AS id FROM events WHERE kind = ?", "trial_disagrees"
    )
    assert {row["id"] for row in told} & set(names)
    assert all(service.engine.ledger.frame(row["id"])["asked"] for row in told)  # type: ignore[index]  # it was judged


def test_a_proposal_that_people_find_wrong_is_not_published(service: Service) -> None:
    for name in disagreeing(service):
        answer(service, name, "defect")
    held = learn(service)
    assert isinstance(held, Hold)
    assert "the head was right" in held.reason
    assert service.store.newest_number() == 1
    assert service.engine.trial is None
    row = service.engine.ledger.one("SELECT reason, version FROM lessons ORDER BY id DESC")
    assert row is not None
    assert (row["version"], row["reason"]) == (None, held.reason)


def test_another_version_ends_a_trial_unheard(service: Service) -> None:
    on_trial(service)
    lesson.rollback(service.store, service.engine.ledger, 1, "engineer", NOW_MS)
    service.notice_versions()
    assert service.engine.trial is None
    assert service.engine.ledger.one("SELECT 1 FROM events WHERE kind = 'trial_dropped'") is not None


def test_a_restart_begins_the_trial_anew(
    service: Service, settings: Settings, extractor: Extractor, wire: Wire
) -> None:
    first = on_trial(service)
    judge(service, "worn", 620)
    again = make_service(settings, extractor, wire)
    again.start()
    again.lesson_if_due()
    trial = again.engine.trial
    assert trial is not None
    assert trial.seen == 0
    assert trial.proven.proposal.threshold == first.proven.proposal.threshold
    assert (trial.proven.proposal.contents.bank.vectors == first.proven.proposal.contents.bank.vectors).all()


def test_a_frame_without_verdict_says_nothing(service: Service) -> None:
    trial = on_trial(service)
    service.engine.judge(frame("broken", b"no image"))
    assert trial.seen == 0


def test_who_is_right_decides() -> None:
    both = (PASSES, FLAGS)
    assert settle_trial(9, both, {}) == Trusted(9, ("a", "b"), 0, 0)
    assert settle_trial(9, both, {"a": "good", "b": "defect"}) == Trusted(9, ("a", "b"), 0, 2)
    assert settle_trial(9, both, {"a": "defect", "b": "defect"}) == Trusted(9, ("a", "b"), 1, 1)
    assert isinstance(settle_trial(9, both, {"a": "defect"}), Hold)
    assert isinstance(settle_trial(9, both, {"b": "good"}), Hold)
